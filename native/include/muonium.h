/*
 * muonium.h - the C ABI of Muonium, and the only header that its Java bindings are generated from.
 *
 * Conventions
 *   - Every function that can fail returns a mu_status; MU_OK is 0. Nothing here prints, exits, throws or aborts.
 *     mu_last_error() gives the text of the calling thread's last failure.
 *   - The first argument is a context: which backend, device and stream the call goes to. A context of the CPU
 *     backend is immutable and may be used by any number of threads at once.
 *   - The kernels of the CPU are single-threaded. They work on a half-open range [begin, end) of elements or rows of
 *     arrays that are given by their BASE pointers, so that a caller cuts work into tasks without computing addresses.
 *     What a range yields depends neither on how the array was cut (at the borders named below) nor on who ran it.
 *   - A kernel of a CUDA context is put into the context's stream and has not run yet when the call returns. Arrays and
 *     the places of results (double* sum) are memory that the device can reach; structures of settings that are passed
 *     by a pointer to const (mu_rounding, mu_adamw_params) are host memory and are read before the call returns.
 *   - Counts, strides and leading dimensions are int64_t and count elements, not bytes. Matrices are row-major.
 *   - Pointers need the alignment of their element type only. Arrays must not overlap unless a function says so.
 *   - A block format covers an array flat, in order: block k holds elements [k*block, min((k+1)*block, n)).
 */
#ifndef MUONIUM_H
#define MUONIUM_H

#include <stdint.h>

#if defined(_WIN32)
#define MU_API __declspec(dllexport)
#else
#define MU_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change that an existing binary caller could notice; checked by Java when it loads the library. */
#define MU_ABI_VERSION 3

typedef enum mu_status {
  MU_OK = 0,
  MU_INVALID_ARGUMENT = 1,
  MU_UNSUPPORTED = 2,
  MU_OUT_OF_MEMORY = 3,
  MU_BACKEND_UNAVAILABLE = 4,
  MU_BACKEND_FAILURE = 5
} mu_status;

typedef enum mu_backend { MU_BACKEND_CPU = 0, MU_BACKEND_CUDA = 1 } mu_backend;

/* The instruction-set tiers of the CPU backend. AUTO is the best that the processor and the operating system allow. */
typedef enum mu_tier { MU_TIER_AUTO = 0, MU_TIER_SCALAR = 1, MU_TIER_AVX2 = 2, MU_TIER_AVX512 = 3 } mu_tier;

/* Element types of plain arrays. */
typedef enum mu_type { MU_F32 = 0, MU_BF16 = 1 } mu_type;

/* How an array of optimizer state is stored. */
typedef enum mu_format {
  MU_FORMAT_F32 = 0,                    /* float, no scales */
  MU_FORMAT_INT8_LINEAR = 1,            /* int8_t codes, scale = absmax / 127 per block */
  MU_FORMAT_INT8_DYNAMIC_SIGNED = 2,    /* uint8_t index into the signed dynamic map, scale = absmax per block */
  MU_FORMAT_INT8_DYNAMIC_UNSIGNED = 3,  /* uint8_t index into the unsigned dynamic map, scale = absmax per block */
  MU_FORMAT_FP8_E4M3 = 4,               /* uint8_t, OCP E4M3 "fn", scale = absmax / 448 per block; not for optimizer state */
  MU_FORMAT_FP8_E5M2 = 5                /* uint8_t, OCP E5M2, scale = absmax / 57344 per block; not for optimizer state */
} mu_format;

typedef struct mu_context mu_context;

/* --- library and context ------------------------------------------------------------------------------------- */

MU_API int32_t mu_abi_version(void);
/* The library's version, for example "0.1.0". */
MU_API const char* mu_version(void);
/* The text of the calling thread's last failure; "" when there was none. Valid until that thread's next call. */
MU_API const char* mu_last_error(void);
MU_API const char* mu_status_name(mu_status status);

/* The best tier that this processor and operating system can run. */
MU_API mu_tier mu_cpu_best_tier(void);
MU_API const char* mu_tier_name(mu_tier tier);
/* 1 when the processor multiplies bf16 natively (AVX512_BF16), else 0. */
MU_API int32_t mu_cpu_has_bf16(void);
/* The processor's own name, for reports; "" when it does not tell. */
MU_API const char* mu_cpu_name(void);

/*
 * Opens a context. CPU: device is 0, stream is NULL, tier chooses the kernels (MU_UNSUPPORTED when the processor
 * cannot run them). CUDA: backend_path names the backend library to open, device is the ordinal, stream a cudaStream_t
 * that the caller goes on owning (NULL: the context makes its own); tier is ignored. backend_path may be NULL on the CPU.
 */
MU_API mu_status mu_context_create(mu_backend backend, const char* backend_path, int32_t device, void* stream,
                                   mu_tier tier, mu_context** context);
MU_API mu_status mu_context_destroy(mu_context* context);
MU_API mu_tier mu_context_tier(const mu_context* context);
/* Bytes of device memory that the context itself holds, for the caller's ledger; 0 on the CPU. */
MU_API int64_t mu_context_device_bytes(const mu_context* context);

/* --- block formats ------------------------------------------------------------------------------------------- */

/*
 * codes[i], scales[k] <- x[i] for i in [begin, end); begin is a multiple of block, end too unless it is the end of
 * the array. block is a power of two from 64 to 2048.
 *   INT8 linear:  scale = absmax / 127; code = clamp(round-half-even(x / scale), -127, 127).
 *   INT8 dynamic: scale = absmax; code = index of the map's entry nearest to x / absmax (a tie goes to the lower entry).
 *   FP8:          scale = absmax / the greatest number; code = x / scale rounded to nearest even, saturating.
 * A block whose scale is 0 (absmax is 0, or so small that the scale underflows) has codes that decode to 0.
 * A block that holds a NaN or an infinity gets the scale NaN and the codes of 0: all of it decodes to NaN, so that
 * nothing non-finite goes unnoticed. MU_FORMAT_F32 is refused: it is not a block format.
 */
MU_API mu_status mu_quantize(const mu_context* context, mu_format format, int64_t block, const void* x, mu_type x_type,
                             void* codes, float* scales, int64_t begin, int64_t end);
/* out[i] <- value of codes[i]: linear q * scale; dynamic map[q] * scale; FP8 number * scale. Borders as for mu_quantize. */
MU_API mu_status mu_dequantize(const mu_context* context, mu_format format, int64_t block, const void* codes,
                               const float* scales, void* out, mu_type out_type, int64_t begin, int64_t end);
/* Which elements of an FP8 operand share a scale. */
typedef enum mu_scaling {
  MU_SCALING_TENSOR = 0, /* all: scales[0]; scales[1] is room for the greatest magnitude, as the bits of a float */
  MU_SCALING_VECTORS = 1, /* 128 consecutive ones of a row, in block b of row r: scales[r + b * scales_ld] */
  MU_SCALING_SQUARES = 2  /* 128 x 128, in block b of rows 128p ... 128p + 127: scales[b + p * scales_ld] */
} mu_scaling;

/*
 * A matrix as an operand of an FP8 product, which sums along the rows of both of its operands. The operand is x, rows x cols
 * with leading dimension x_ld, or where transposed is 1 its transpose, cols x rows. Its codes are row-major with leading
 * dimension codes_ld, a multiple of 16 that is not less than the operand's row; beyond the operand, up to codes_ld columns and
 * codes_rows rows, codes are 0, which adds nothing to a product. Every scale is absmax / the format's greatest number, every code
 * as in mu_quantize: what is not finite makes the scale NaN. codes is aligned to 16 bytes, format is FP8. The layouts of the
 * scales are those that cublasLt reads: scales_ld is at least codes_rows for VECTORS, at least ceil(codes_ld / 128) for SQUARES, and not used for
 * TENSOR. A call is a whole matrix; on CUDA nothing of it comes to the host.
 */
MU_API mu_status mu_fp8_operand(const mu_context* context, mu_format format, mu_scaling scaling, int32_t transposed,
                                const void* x, mu_type x_type, int64_t x_ld, int64_t rows, int64_t cols, void* codes,
                                int64_t codes_ld, int64_t codes_rows, float* scales, int64_t scales_ld);
/* Copies the 256 entries of a dynamic map, in ascending order, to map. */
MU_API mu_status mu_dynamic_map(mu_format format, float* map);

/* --- sums and element-wise passes ---------------------------------------------------------------------------- */

/*
 * *sum <- the sum over [begin, end) of x[i]^2 in double, in an order that depends only on begin and end and is the same
 * in every tier of the CPU; CUDA has an order of its own, the same on every GPU, that also depends on whether x is aligned
 * to 16 bytes. It is finite if and only if every x[i] is: no square of a finite float overflows a double.
 */
MU_API mu_status mu_sum_squares(const mu_context* context, const void* x, mu_type type, int64_t begin, int64_t end,
                                double* sum);
/* out <- alpha * x, rows [row_begin, row_end) of cols elements. out may be x itself when the types are the same. */
MU_API mu_status mu_scale(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld,
                          void* out, mu_type out_type, int64_t out_ld, int64_t cols, int64_t row_begin,
                          int64_t row_end);
/* out <- alpha * x + beta * y, by rows as mu_scale. out may be x or y when the types are the same. beta = 0 does not read y. */
MU_API mu_status mu_axpby(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld,
                          float beta, const void* y, mu_type y_type, int64_t y_ld, void* out, mu_type out_type,
                          int64_t out_ld, int64_t cols, int64_t row_begin, int64_t row_end);
/* x[i][j] <- x[j][i] for j < i: rows [row_begin, row_end) of the strict lower triangle of an n x n matrix become the mirror of the upper. */
MU_API mu_status mu_mirror_upper(const mu_context* context, void* x, mu_type type, int64_t ld, int64_t row_begin,
                                 int64_t row_end);

/* --- Muon ---------------------------------------------------------------------------------------------------- */

/*
 * The momentum of Muon in one pass over memory, for i in [begin, end), borders as for mu_quantize:
 *   g = gradient_scale * gradient[i]
 *   m = beta * dequantize(momentum)[i] + (1 - beta) * g
 *   u = nesterov ? (1 - beta) * g + beta * m : m
 *   momentum[i] <- quantize(m); update[i] <- u; *sum_squares <- the sum of u^2 over the range (of u before it is rounded
 *   to update_type).
 * u comes from the fresh m in FP32: only the stored m is quantized. scales is ignored (may be NULL) for MU_FORMAT_F32.
 * 1 - beta is formed in double and rounded once. momentum is F32, INT8_LINEAR or INT8_DYNAMIC_SIGNED.
 * The sum is within 2^-21 of the exact one, relatively: CUDA adds in double, the CPU in FP32 within runs of 64 elements
 * whose squares allow it. What mu_sum_squares says of its order holds, and it is finite if and only if every u is.
 * update may be gradient itself when the types are the same.
 * A call whose u has 128 KiB or more, from an address that is a multiple of 64, writes it past the caches: it saves
 * reading those lines first, a fifth of the traffic. So long arrays should come in ranges of 65536 elements or more.
 */
MU_API mu_status mu_muon_momentum(const mu_context* context, mu_format format, int64_t block, const void* gradient,
                                  mu_type gradient_type, float gradient_scale, void* momentum, float* scales,
                                  void* update, mu_type update_type, double beta, int32_t nesterov, int64_t begin,
                                  int64_t end, double* sum_squares);

/*
 * Keys of the counter-based generator that rounds bf16 weights: the bits for an element are a function of
 * (seed, step, parameter, element index) alone.
 */
typedef struct mu_rounding {
  uint64_t seed;
  uint64_t step;
  uint64_t parameter;
} mu_rounding;

/*
 * w <- decay * w - rate * o for rows [row_begin, row_end) of a rows x cols matrix. o has leading dimension o_ld, the
 * weights w_ld. bf16 weights: with master == NULL the sum is rounded stochastically by the key in *rounding (NULL:
 * round to nearest even); with master (FP32, leading dimension cols) the master is updated and w gets its rounding to nearest even.
 */
MU_API mu_status mu_muon_update(const mu_context* context, void* w, mu_type w_type, int64_t w_ld, float* master,
                                const void* o, mu_type o_type, int64_t o_ld, float decay, float rate,
                                const mu_rounding* rounding, int64_t cols, int64_t row_begin, int64_t row_end);

/* --- AdamW --------------------------------------------------------------------------------------------------- */

/*
 * Doubles, although the kernels work in FP32: 1 - beta2 is formed in double and rounded once. From a float 0.999 it
 * would be off by 1.3e-5, more than an AdamW trajectory may drift.
 */
typedef struct mu_adamw_params {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  double bias_correction1; /* 1 - beta1^t */
  double bias_correction2; /* 1 - beta2^t */
  double gradient_scale;
} mu_adamw_params;

/*
 * Decoupled AdamW (torch.optim.AdamW) in one pass, for i in [begin, end), borders as for mu_quantize:
 *   g = gradient_scale * gradient[i]; w = w * (1 - lr * weight_decay)
 *   m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2
 *   w = w - lr / bias_correction1 * m / (sqrt(v) / sqrt(bias_correction2) + eps)
 * with m and v fresh in FP32; only what is stored is quantized. m_format is F32, INT8_LINEAR or INT8_DYNAMIC_SIGNED,
 * v_format F32 or INT8_DYNAMIC_UNSIGNED (a linear v is refused: it is known to be unstable). Weights, master and
 * rounding as for mu_muon_update.
 * In 8 bits a positive v is stored as code 1 at least, the smallest positive entry, where mu_quantize would take 0. Else an
 * element whose gradient was below 4e-4 of its block's greatest would keep its m but lose its v, and its next step without
 * a gradient would be m / eps. Such an element moves less than with an FP32 v.
 */
MU_API mu_status mu_adamw(const mu_context* context, const mu_adamw_params* params, int64_t block, void* w,
                          mu_type w_type, float* master, const void* gradient, mu_type gradient_type,
                          mu_format m_format, void* m, float* m_scales, mu_format v_format, void* v, float* v_scales,
                          const mu_rounding* rounding, int64_t begin, int64_t end);

/* --- a whole optimizer step, many arrays at a time ------------------------------------------------------------- */

/*
 * What a step of an optimizer does to all its arrays in a handful of launches. The arrays are described by records in
 * memory that the device reads (so that a captured CUDA graph sees new addresses, learning rates and step numbers without
 * being captured again), and a record mu_step carries the decisions from the sweep to what follows: nothing comes back to
 * the host in between. Results are those of the functions above, called with the same settings; sums may be added up in
 * another order, which is the same on every run.
 *
 * Work is handed out in chunks of MU_CHUNK elements. Arrays are numbered through by chunks: first_chunk of a record is the
 * sum of ceil(elements / MU_CHUNK) over the records before it, and `chunks` the sum over all. Arrays are dense.
 */
#define MU_CHUNK 16384

/* Read and written by the device. gradient_scale, clip_norm, clip_epsilon and seed are the caller's, the rest the sweep's. */
typedef struct mu_step {
  double gradient_scale;    /* what gradients are multiplied by first; positive */
  double clip_norm;         /* the largest norm of all gradients together; infinity does not clip */
  double clip_epsilon;      /* added to the norm that is divided by */
  uint64_t seed;            /* of stochastic rounding */
  double norm;              /* of all gradients together, times gradient_scale */
  double clip;              /* min(1, clip_norm / (norm + clip_epsilon)) */
  double scale;             /* gradient_scale * clip */
  int64_t first_non_finite; /* the first gradient that is not finite or exceeds its limit; INT64_MAX: none, but (float)scale is 0;
                               -1: neither. Else nothing below is done */
} mu_step;

typedef struct mu_gradient {
  const void* gradient;
  int64_t elements;
  int64_t first_chunk;
  double limit; /* the largest norm, after gradient_scale, with which the step's own arithmetic does not overflow */
  int32_t type; /* mu_type */
  int32_t reserved;
} mu_gradient;

/*
 * step->norm, clip, scale and first_non_finite from all gradients. partial has room for `chunks` doubles. A gradient is
 * refused when sqrt(sum of squares) * gradient_scale is not at most its limit (so also when it holds a NaN).
 */
MU_API mu_status mu_gradient_sweep(const mu_context* context, const mu_gradient* gradients, int64_t count,
                                   int64_t chunks, double* partial, mu_step* step);

/* A matrix that Muon updates. Formats and types are the same for all records of a call, and its arguments. */
typedef struct mu_muon_item {
  const void* gradient;
  void* momentum;
  float* scales;            /* NULL for MU_FORMAT_F32 */
  void* update;             /* u, and later O: what Newton-Schulz works on */
  const void* direction;    /* O */
  void* weights;
  float* master;            /* NULL where there is none */
  int64_t elements;
  int64_t first_chunk;
  double beta;
  float decay;              /* 1 - lr * weight_decay */
  float rate;               /* lr * adjustment */
  uint64_t rounding_step;   /* with mu_step.seed, the key of stochastic rounding */
  uint64_t rounding_parameter;
  int32_t stochastic;       /* 1: bf16 weights without a master are rounded stochastically; 0: to nearest even */
  int32_t reserved;
} mu_muon_item;

/* mu_muon_momentum for every record: writes update and momentum; sums[chunk] <- the sum of u^2 over that chunk. */
MU_API mu_status mu_muon_momentum_many(const mu_context* context, mu_format format, int64_t block,
                                       mu_type gradient_type, mu_type update_type, int32_t nesterov,
                                       const mu_muon_item* items, int64_t count, int64_t chunks, const mu_step* step,
                                       double* sums);
/* mu_muon_update for every record, from its direction. */
MU_API mu_status mu_muon_update_many(const mu_context* context, mu_type w_type, mu_type o_type,
                                     const mu_muon_item* items, int64_t count, int64_t chunks, const mu_step* step);

typedef struct mu_adamw_item {
  void* weights;
  float* master;
  const void* gradient;
  void* m;
  float* m_scales;
  void* v;
  float* v_scales;
  int64_t elements;
  int64_t first_chunk;
  mu_adamw_params params; /* gradient_scale is ignored: it is step->scale */
  uint64_t rounding_step;
  uint64_t rounding_parameter;
  int32_t stochastic;
  int32_t reserved;
} mu_adamw_item;

/* mu_adamw for every record. */
MU_API mu_status mu_adamw_many(const mu_context* context, int64_t block, mu_type w_type, mu_type gradient_type,
                               mu_format m_format, mu_format v_format, const mu_adamw_item* items, int64_t count,
                               int64_t chunks, const mu_step* step);

/* --- Newton-Schulz, many matrices of one shape at a time --------------------------------------------------------- */

/* How an input is normalized: divided by norm + epsilon, or by max(norm, epsilon). */
typedef enum mu_norm_convention { MU_NORM_ADD_EPSILON = 0, MU_NORM_MAX_EPSILON = 1 } mu_norm_convention;

/* a, b and c of X <- a X + (b A + c A^2) X, before they take up the normalization; and how that is formed. */
typedef struct mu_newton_schulz_start {
  double a;
  double b;
  double c;
  double norm_factor; /* the norm is multiplied by it, then epsilon comes in */
  double epsilon;
  int32_t convention; /* mu_norm_convention */
  int32_t reserved;
} mu_newton_schulz_start;

/*
 * Normalizes `count` matrices of `elements` elements, `stride` apart. With norm_k = sqrt(the sum of the sums_per_matrix
 * numbers sums[k * sums_per_matrix ...]) and s = 1 / divisor(norm_k):
 * coefficients[3k..3k+2] <- a s', b s'^3, c s'^5, where X_k is multiplied in place by the power of two s / s'. That is 1, and X_k is
 * not touched, unless norm_k lies beyond 2^12 or below 2^-12. A norm of 0 gives s' = 0 and X_k = 0. step may be NULL;
 * a step that is left out leaves X and coefficients as they are.
 */
MU_API mu_status mu_newton_schulz_begin(const mu_context* context, const mu_newton_schulz_start* start, void* x,
                                        mu_type type, int64_t elements, int64_t stride, int64_t count,
                                        const double* sums, int64_t sums_per_matrix, float* coefficients,
                                        const mu_step* step);

/*
 * C_k <- c0 I + c1 D_k + c2 A_k B_k^T (transposed = 0: A and B are n x k, row-major), or + c2 A_k^T B_k (transposed = 1: they are
 * k x n), for count matrices of n x n whose product is known to be symmetric: only the upper tiles are computed, the lower
 * triangle is their mirror. (c0, c1, c2) are the floats coefficients[k * coefficient_stride ...] (a stride of 0: the same for
 * all), in memory that the device reads. b may be a; d may be NULL (then c1 is not used), and may not overlap c. Products are
 * summed in FP32 and C is rounded once. type is that of a, b, c and d. Leading dimensions and strides count elements.
 */
MU_API mu_status mu_symmetric_product(const mu_context* context, mu_type type, int32_t transposed, int64_t n, int64_t k,
                                      const void* a, int64_t lda, int64_t a_stride, const void* b, int64_t ldb,
                                      int64_t b_stride, const void* d, int64_t ldd, int64_t d_stride, void* c,
                                      int64_t ldc, int64_t c_stride, const float* coefficients,
                                      int64_t coefficient_stride, int64_t count);

/* out_k <- alpha[k * alpha_stride] * x_k for count arrays of `elements` elements, stride apart; out may be x. */
MU_API mu_status mu_scale_many(const mu_context* context, const float* alpha, int64_t alpha_stride, const void* x,
                               int64_t x_stride, void* out, int64_t out_stride, mu_type type, int64_t elements,
                               int64_t count);

/* --- products of packed matrices, on the CPU ------------------------------------------------------------------ */

/*
 * Panels: a bf16 matrix of rows x depth as the CPU's products read it, of either operand. Rows stand together in panels of
 * MU_PANEL_ROWS, the last filled up; the depth is filled up to a multiple of MU_PANEL_DEPTH. In a panel, the pairs
 * (x[r][2d], x[r][2d + 1]) of its rows stand side by side, the pairs of the next d after them: entry (r, d) is element
 *   (r / 48) * 48 * depth' + ((d / 2) * 48 + r % 48) * 2 + d % 2,   depth' = depth rounded up.
 * What fills up is written as 0, so that sums over a whole matrix of panels are those of the matrix; products do not depend on what
 * fills up rows. A matrix of panels takes mu_panel_elements elements.
 */
#define MU_PANEL_ROWS 48
#define MU_PANEL_DEPTH 16

MU_API int64_t mu_panel_elements(int64_t rows, int64_t depth);

/*
 * panels, transposed <- factor * x in panels: bf16 x as rows x cols, and its transpose as cols x rows; either may be NULL. Of
 * x the rows [row_begin, row_end); row_begin is a multiple of MU_PANEL_ROWS, row_end too unless it is rows.
 */
MU_API mu_status mu_pack_panels(const mu_context* context, float factor, const void* x, int64_t x_ld, int64_t rows,
                                int64_t cols, void* panels, void* transposed, int64_t row_begin, int64_t row_end);

/*
 * C <- c0 I + c1 D + c2 A B^T for A of rows x depth and B of cols x depth. With symmetric = 1, rows is cols, the caller
 * knows C to be symmetric, and the part below its diagonal blocks of MU_PANEL_ROWS is the mirror of what is computed. c1 is not
 * used where d is NULL; D is symmetric, in panels. Products are summed in FP32 in the order of the depth, and C is
 * rounded once, to nearest even. C goes to any of three places; those that are NULL are left out. None may overlap an operand.
 * With symmetric = 1 there may be a second result from the same sums, W <- w0 I + w1 D + w2 A B^T: the square of A and
 * a polynomial of it, which a polynomial of degree 4 is the product of.
 */
typedef struct mu_panel_product {
  const void* a;
  const void* b;
  const void* d;       /* rows x cols in panels, or NULL */
  void* c;             /* C in panels */
  void* c_transposed;  /* the transpose of C in panels; with symmetric = 1 it is not used */
  void* c_dense;       /* C as bf16 by rows, c_ld apart; NULL with symmetric = 1 */
  void* w;             /* W in panels; NULL with symmetric = 0 */
  int64_t c_ld;
  int64_t rows;
  int64_t cols;
  int64_t depth;
  float c0;
  float c1;
  float c2;
  float w0;
  float w1;
  float w2;
  int32_t symmetric;
  int32_t reserved;
} mu_panel_product;

/*
 * The part of C in the rows [row_begin, row_end) and the columns [col_begin, col_end); with symmetric = 1, of that what lies
 * in or above the diagonal blocks, and its mirror. Borders are multiples of MU_PANEL_ROWS, or the matrix's end. Bits do not depend
 * on how C is cut. With AVX512_BF16 subnormal inputs count as 0, as that instruction has it. CUDA is MU_UNSUPPORTED, here and
 * for mu_pack_panels: it has mu_symmetric_product.
 */
MU_API mu_status mu_multiply_panels(const mu_context* context, const mu_panel_product* product, int64_t row_begin,
                                    int64_t row_end, int64_t col_begin, int64_t col_end);

/* --- neural network ------------------------------------------------------------------------------------------ */

/*
 * What a GPT needs between its matrix products; arrays are dense, rows are tokens unless said otherwise. `type` is that of the
 * void* arrays of a call: what is in them is widened to FP32, computed with in FP32 and rounded once, to nearest even. The CPU
 * computes in MU_F32 only (MU_BF16 is MU_UNSUPPORTED there), CUDA in both. Where a function takes row_begin and row_end, rows
 * are independent of each other. On the CPU exp and tanh are polynomials of our own, within 3 ulp, and a result does not
 * depend on the tier. Tokens and targets are checked on the CPU; on CUDA they cannot be looked at before they are used, and a
 * row whose token is out of range becomes NaN (a loss and its gradients too), or is left out where rows are added up.
 */

/* y <- x * rstd, rstd[row] <- 1 / sqrt(mean(x^2) + eps). y may be x. */
MU_API mu_status mu_rms_norm(const mu_context* context, mu_type type, const void* x, void* y, float* rstd, float eps,
                             int64_t cols, int64_t row_begin, int64_t row_end);
/* dx <- add + rstd * (dy - y * mean(dy * y)), with y = x * rstd. add may be NULL (0) or dx; dx may be dy. */
MU_API mu_status mu_rms_norm_backward(const mu_context* context, mu_type type, const void* dy, const void* x,
                                      const float* rstd, const void* add, void* dx, int64_t cols, int64_t row_begin,
                                      int64_t row_end);

/*
 * Rotary positions, then RMS normalization of each head, in place. x is rows x heads x head_dim (head_dim even); the two
 * halves (a, b) of a head become (a cos - b sin, a sin + b cos), then all of it is multiplied by rstd[row * heads + head].
 * table is positions x head_dim floats: head_dim / 2 cosines, then as many sines; row stands at position row % positions.
 */
MU_API mu_status mu_rotary_norm(const mu_context* context, mu_type type, void* x, float* rstd, const float* table,
                                float eps, int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin,
                                int64_t row_end);
/* dy <- the gradient with respect to x; y and rstd are what mu_rotary_norm left. */
MU_API mu_status mu_rotary_norm_backward(const mu_context* context, mu_type type, const void* y, const float* rstd,
                                         const float* table, void* dy, int64_t heads, int64_t head_dim,
                                         int64_t positions, int64_t row_begin, int64_t row_end);

/*
 * scores <- softmax(scale * scores), rows of cols elements with leading dimension ld. Row i is the query at position
 * first + i: it sees the columns 0..first + i, the others become 0. lse[lse_begin + i] <- log(sum(exp(scale * scores))).
 * scale is positive. FP32, like the gradient below: what mu_attention is made of where scores are stored.
 */
MU_API mu_status mu_softmax_causal(const mu_context* context, float* scores, int64_t ld, float scale, float* lse,
                                   int64_t lse_begin, int64_t first, int64_t cols, int64_t row_begin, int64_t row_end);
/*
 * From scores as they were before mu_softmax_causal and d, the gradient with respect to the probabilities p:
 * scores <- p = exp(scale * scores - lse); d <- scale * p * (d - delta), the gradient with respect to the scores. delta[i]
 * is sum(p * d), which is the dot product of the attention's output and its gradient (mu_head_dots).
 */
MU_API mu_status mu_softmax_causal_backward(const mu_context* context, float* scores, float* d, int64_t ld, float scale,
                                            const float* lse, const float* delta, int64_t lse_begin, int64_t first,
                                            int64_t cols, int64_t row_begin, int64_t row_end);
/* out <- the dot product of x and y per head. x and y are rows x heads x head_dim; out is sequences x heads x positions. */
MU_API mu_status mu_head_dots(const mu_context* context, mu_type type, const void* x, const void* y, float* out,
                              int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end);

/*
 * Causal grouped-query attention, o <- softmax(scale * q k^T) v per head, tiled as in FlashAttention: no array of
 * positions x positions exists. q and o are rows x heads x head_dim, k and v rows x kv_heads x head_dim, rows = sequences *
 * positions; heads / kv_heads query heads share a key head. lse (float) is sequences x heads x positions. head_dim is a
 * multiple of 8, at most 128. Works on the sequences [sequence_begin, sequence_end).
 */
MU_API mu_status mu_attention(const mu_context* context, mu_type type, const void* q, const void* k, const void* v,
                              void* o, float* lse, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim,
                              int64_t positions, int64_t sequence_begin, int64_t sequence_end);
/* dq, dk, dv <- the gradients, from d_o; lse is what mu_attention left, delta what mu_head_dots(o, d_o) gives. */
MU_API mu_status mu_attention_backward(const mu_context* context, mu_type type, const void* q, const void* k,
                                       const void* v, const float* lse, const void* d_o, const float* delta, void* dq,
                                       void* dk, void* dv, float scale, int64_t heads, int64_t kv_heads,
                                       int64_t head_dim, int64_t positions, int64_t sequence_begin,
                                       int64_t sequence_end);

/* a <- max(u, 0)^2. */
MU_API mu_status mu_relu2(const mu_context* context, mu_type type, const void* u, void* a, int64_t begin, int64_t end);
/* a holds da: u <- du = da * 2 max(u, 0); a <- max(u, 0)^2, computed anew for the gradient of the matrix that follows. */
MU_API mu_status mu_relu2_backward(const mu_context* context, mu_type type, void* u, void* a, int64_t begin,
                                   int64_t end);
/* a <- gate * logistic(gate) * up. */
MU_API mu_status mu_swiglu(const mu_context* context, mu_type type, const void* gate, const void* up, void* a,
                           int64_t begin, int64_t end);
/* a holds da: gate <- dgate; up <- dup; a <- gate * logistic(gate) * up, computed anew. */
MU_API mu_status mu_swiglu_backward(const mu_context* context, mu_type type, void* gate, void* up, void* a,
                                    int64_t begin, int64_t end);

/*
 * Soft cap and cross-entropy, rows of cols (the vocabulary) logits: logits <- z = cap * tanh(logits / cap), or as they are
 * where cap is 0; losses[target_begin + row] <- log(sum(exp(z))) - z[target], target = targets[target_begin + row].
 */
MU_API mu_status mu_cross_entropy(const mu_context* context, mu_type type, void* logits, float cap,
                                  const int32_t* targets, double* losses, int64_t target_begin, int64_t cols,
                                  int64_t row_begin, int64_t row_end);
/* The same losses; logits <- gradient_scale times the loss's gradient with respect to the logits before the cap. */
MU_API mu_status mu_cross_entropy_backward(const mu_context* context, mu_type type, void* logits, float cap,
                                           const int32_t* targets, double* losses, int64_t target_begin,
                                           float gradient_scale, int64_t cols, int64_t row_begin, int64_t row_end);

/* out[row] <- table[tokens[row]]; table is vocab x cols. */
MU_API mu_status mu_gather_rows(const mu_context* context, mu_type type, const void* table, const int32_t* tokens,
                                void* out, int64_t vocab, int64_t cols, int64_t row_begin, int64_t row_end);
/*
 * table[tokens[row]] += rows[row] for row = 0, 1, ..., count - 1, where the token lies in [vocab_begin, vocab_end). type is that
 * of rows. CUDA adds a token's rows up in FP32, in this order and from the table's value on, and rounds once.
 */
MU_API mu_status mu_scatter_add_rows(const mu_context* context, mu_type type, const void* rows, const int32_t* tokens,
                                     int64_t count, void* table, mu_type table_type, int64_t cols, int64_t vocab_begin,
                                     int64_t vocab_end);

#ifdef __cplusplus
}
#endif

#endif
