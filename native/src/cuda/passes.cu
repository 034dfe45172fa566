/* passes.cu - element-wise passes over matrices, and the mirror image of an upper triangle. */
#include "cuda/chunks.h"
#include "cuda/elements.h"
#include "cuda/launch.h"
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

/* --- out <- alpha * x, and out <- alpha * x + beta * y, by rows ------------------------------------------------------ */

template <class X, class O>
struct ScaleCall {
  const X* x;
  O* out;
  float alpha;
  int64_t x_ld;
  int64_t out_ld;
  int64_t cols;
  int64_t rows;
};

/* A block of threads takes a row at a time, or a part of it: blockIdx.y cuts rows into parts of a chunk. */
template <class X, class O>
__global__ void __launch_bounds__(kChunkThreads, 4) scale_kernel(const ScaleCall<X, O> call) {
  constexpr int piece = kPiece<X, O>;
  for (int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    for (int64_t part = blockIdx.y; part * MU_CHUNK < call.cols; part += gridDim.y) {
      const Span span = span_of(call.cols, part);
      const X* const x = call.x + row * call.x_ld + span.begin;
      O* const out = call.out + row * call.out_ld + span.begin;
      const bool fast = is_aligned(x, Group<X, piece>::kAlignment) && is_aligned(out, Group<O, piece>::kAlignment);
      const int count = static_cast<int>(span.count);
      const int units = fast ? count / kUnit : 0;
#pragma unroll 2
      for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
        const int at = unit * kUnit + lane_offset<piece>();
        Group<X, piece> group;
        group.load(x + at);
        float values[kPerLane];
        group.widen(values);
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) {
          values[i] = call.alpha * values[i];
        }
        Group<O, piece>::store(out + at, values);
      }
      for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
        put(out + i, call.alpha * to_float(x[i]));
      }
    }
  }
}

template <class X, class Y, class O>
struct SumCall {
  ScaleCall<X, O> scaled;
  const Y* y;
  float beta;
  int64_t y_ld;
};

template <class X, class Y, class O>
__global__ void __launch_bounds__(kChunkThreads, 4) axpby_kernel(const SumCall<X, Y, O> call) {
  constexpr int piece = sizeof(X) == 2 && sizeof(Y) == 2 && sizeof(O) == 2 ? 8 : 4;
  for (int64_t row = blockIdx.x; row < call.scaled.rows; row += gridDim.x) {
    for (int64_t part = blockIdx.y; part * MU_CHUNK < call.scaled.cols; part += gridDim.y) {
      const Span span = span_of(call.scaled.cols, part);
      const X* const x = call.scaled.x + row * call.scaled.x_ld + span.begin;
      const Y* const y = call.y + row * call.y_ld + span.begin;
      O* const out = call.scaled.out + row * call.scaled.out_ld + span.begin;
      const bool fast = is_aligned(x, Group<X, piece>::kAlignment) && is_aligned(y, Group<Y, piece>::kAlignment) &&
                        is_aligned(out, Group<O, piece>::kAlignment);
      const int count = static_cast<int>(span.count);
      const int units = fast ? count / kUnit : 0;
      for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
        const int at = unit * kUnit + lane_offset<piece>();
        Group<X, piece> first;
        Group<Y, piece> second;
        first.load(x + at);
        second.load(y + at);
        float a[kPerLane];
        float b[kPerLane];
        first.widen(a);
        second.widen(b);
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) {
          a[i] = call.scaled.alpha * a[i] + call.beta * b[i];
        }
        Group<O, piece>::store(out + at, a);
      }
      for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
        put(out + i, call.scaled.alpha * to_float(x[i]) + call.beta * to_float(y[i]));
      }
    }
  }
}

/* Rows side by side in x, parts of a row in y. */
dim3 grid_of_rows(int64_t rows, int64_t cols) {
  const int64_t parts = chunks_of(cols);
  return dim3(grid_of(rows).x, static_cast<unsigned>(parts < 65535 ? parts : 65535));
}

template <class X, class O>
mu_status launch_scale(State& state, const char* what, ScaleCall<X, O> call) {
  if (call.x_ld == call.cols && call.out_ld == call.cols) {
    call.cols *= call.rows; /* One long row. */
    call.rows = 1;
  }
  return check(launch(scale_kernel<X, O>, grid_of_rows(call.rows, call.cols), dim3(kChunkThreads), 0, state.stream,
                      call),
               what);
}

template <class X, class Y, class O>
mu_status launch_sum(State& state, const char* what, SumCall<X, Y, O> call) {
  ScaleCall<X, O>& scaled = call.scaled;
  if (scaled.x_ld == scaled.cols && call.y_ld == scaled.cols && scaled.out_ld == scaled.cols) {
    scaled.cols *= scaled.rows;
    scaled.rows = 1;
  }
  return check(launch(axpby_kernel<X, Y, O>, grid_of_rows(scaled.rows, scaled.cols), dim3(kChunkThreads), 0,
                      state.stream, call),
               what);
}

/* Calls body with a value of the type, of which only the type is of interest. */
template <class Body>
mu_status for_type(mu_type type, const Body& body) {
  return type == MU_BF16 ? body(bf16{}) : body(float{});
}

/* --- many arrays, each with a factor of its own ---------------------------------------------------------------------- */

template <class T>
__global__ void __launch_bounds__(kChunkThreads, 4) scale_many_kernel(const float* alpha, int64_t alpha_stride, const T* x,
                                                                   int64_t x_stride, T* out, int64_t out_stride,
                                                                   int64_t elements, int64_t parts, int64_t chunks) {
  constexpr int piece = kPiece<T, T>;
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const int64_t k = chunk / parts;
    const Span span = span_of(elements, chunk % parts);
    const float factor = alpha[k * alpha_stride];
    const T* const from = x + k * x_stride + span.begin;
    T* const to = out + k * out_stride + span.begin;
    const bool fast = is_aligned(from, Group<T, piece>::kAlignment) && is_aligned(to, Group<T, piece>::kAlignment);
    const int count = static_cast<int>(span.count);
    const int units = fast ? count / kUnit : 0;
#pragma unroll 2
    for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
      const int at = unit * kUnit + lane_offset<piece>();
      Group<T, piece> group;
      group.load(from + at);
      float values[kPerLane];
      group.widen(values);
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        values[i] = factor * values[i];
      }
      Group<T, piece>::store(to + at, values);
    }
    for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
      put(to + i, factor * to_float(from[i]));
    }
  }
}

template <class T>
mu_status launch_scale_many(State& state, const char* what, const float* alpha, int64_t alpha_stride, const void* x,
                            int64_t x_stride, void* out, int64_t out_stride, int64_t elements, int64_t count) {
  const int64_t parts = chunks_of(elements);
  const int64_t chunks = parts * count;
  return check(launch(scale_many_kernel<T>, grid_of(chunks), dim3(kChunkThreads), 0, state.stream, alpha, alpha_stride,
                      static_cast<const T*>(x), x_stride, static_cast<T*>(out), out_stride, elements, parts, chunks),
               what);
}

/* --- the lower triangle from the upper ----------------------------------------------------------------------------- */

constexpr int kTile = 32;
constexpr int kTileRows = 8;

/*
 * A block of 32 x 8 threads takes a tile of 32 x 32 of the lower triangle from its mirror image, through shared memory so that
 * rows are read and rows are written; a column more than 32 keeps the transposed reads in different banks.
 */
template <class T>
__global__ void __launch_bounds__(kTile* kTileRows) mirror_kernel(T* x, int64_t ld, int64_t row_begin,
                                                                  int64_t row_end) {
  __shared__ T tile[kTile][kTile + 1];
  const int64_t row = row_begin + static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t col = static_cast<int64_t>(blockIdx.x) * kTile;
  const int lane = static_cast<int>(threadIdx.x);
  if (col >= row + kTile - 1) {
    return; /* nothing below the diagonal: for the whole block */
  }
  /* tile[r][c] = x[col + r][row + c] where that lies above the diagonal */
  for (int r = static_cast<int>(threadIdx.y); r < kTile; r += kTileRows) {
    if (row + lane < row_end && col + r < row + lane) {
      tile[r][lane] = x[(col + r) * ld + row + lane];
    }
  }
  __syncthreads();
  for (int r = static_cast<int>(threadIdx.y); r < kTile; r += kTileRows) {
    if (row + r < row_end && col + lane < row + r) {
      x[(row + r) * ld + col + lane] = tile[lane][r];
    }
  }
}

template <class T>
mu_status launch_mirror(State& state, const char* what, void* x, int64_t ld, int64_t row_begin, int64_t row_end) {
  /* The grid's second dimension is short, so tall ranges go in pieces; each reads above the diagonal and writes below it. */
  constexpr int64_t most = int64_t{65535} * kTile;
  for (int64_t begin = row_begin; begin < row_end; begin += most) {
    const int64_t end = begin + most < row_end ? begin + most : row_end;
    const dim3 grid(static_cast<unsigned>((end + kTile - 1) / kTile),
                    static_cast<unsigned>((end - begin + kTile - 1) / kTile));
    const mu_status status = check(launch(mirror_kernel<T>, grid, dim3(kTile, kTileRows), 0, state.stream,
                                          static_cast<T*>(x), ld, begin, end),
                                   what);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

}  // namespace

mu_status scale(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld, void* out,
                mu_type out_type, int64_t out_ld, int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* what = "mu_scale";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || cols == 0 || row_begin == row_end) {
    return entered;
  }
  return for_type(x_type, [&]<class X>(X) {
    return for_type(out_type, [&]<class O>(O) {
      return launch_scale(*state, what,
                          ScaleCall<X, O>{static_cast<const X*>(x) + row_begin * x_ld,
                                          static_cast<O*>(out) + row_begin * out_ld, alpha, x_ld, out_ld, cols,
                                          row_end - row_begin});
    });
  });
}

mu_status axpby(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld, float beta,
                const void* y, mu_type y_type, int64_t y_ld, void* out, mu_type out_type, int64_t out_ld, int64_t cols,
                int64_t row_begin, int64_t row_end) {
  const char* what = "mu_axpby";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || cols == 0 || row_begin == row_end) {
    return entered;
  }
  return for_type(x_type, [&]<class X>(X) {
    return for_type(y_type, [&]<class Y>(Y) {
      return for_type(out_type, [&]<class O>(O) {
        const ScaleCall<X, O> scaled{static_cast<const X*>(x) + row_begin * x_ld,
                                     static_cast<O*>(out) + row_begin * out_ld, alpha, x_ld, out_ld, cols,
                                     row_end - row_begin};
        return launch_sum(*state, what,
                          SumCall<X, Y, O>{scaled, static_cast<const Y*>(y) + row_begin * y_ld, beta, y_ld});
      });
    });
  });
}

mu_status scale_many(const mu_context* context, const float* alpha, int64_t alpha_stride, const void* x,
                     int64_t x_stride, void* out, int64_t out_stride, mu_type type, int64_t elements, int64_t count) {
  const char* what = "mu_scale_many";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || elements == 0 || count == 0) {
    return entered;
  }
  return type == MU_BF16 ? launch_scale_many<bf16>(*state, what, alpha, alpha_stride, x, x_stride, out, out_stride,
                                                   elements, count)
                         : launch_scale_many<float>(*state, what, alpha, alpha_stride, x, x_stride, out, out_stride,
                                                    elements, count);
}

mu_status mirror_upper(const mu_context* context, void* x, mu_type type, int64_t ld, int64_t row_begin,
                       int64_t row_end) {
  const char* what = "mu_mirror_upper";
  State* state = nullptr;
  const mu_status entered = enter(context, what, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return type == MU_BF16 ? launch_mirror<bf16>(*state, what, x, ld, row_begin, row_end)
                         : launch_mirror<float>(*state, what, x, ld, row_begin, row_end);
}

}  // namespace muonium::cuda
