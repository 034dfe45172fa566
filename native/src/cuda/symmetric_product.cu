/* symmetric_product.cu - mu_symmetric_product: chooses the kernel and its tiles. */
#include "cuda/launch.h"
#include "cuda/state.h"
#include "cuda/symmetric_bf16.h"
#include "cuda/symmetric_f32.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

constexpr int64_t kMostBlocks = 0x7fffffff;
/* Indices of rows and columns are 32 bits wide in the kernels, with room for a tile beyond the edge. */
constexpr int64_t kMostSide = 0x7fffffff - 256;

struct Call {
  const void* a;
  const void* b;
  const void* d;
  void* c;
  const float* coefficients;
  int64_t count;
  SymmetricShape shape;
  bool transposed;
};

int64_t upper_tiles(int64_t n, int64_t side) {
  return static_cast<int64_t>(tiles_before(static_cast<uint64_t>((n + side - 1) / side)));
}

template <class T>
const T* from(const void* array, int64_t elements) {
  return array == nullptr ? nullptr : static_cast<const T*>(array) + elements;
}

/* A grid has so many blocks that more than one is a matter of some hundred thousand matrices. */
template <class T>
mu_status launch_tiles(const State& state, const char* what,
                       void (*kernel)(const T*, const T*, const T*, T*, const float*, SymmetricShape), Call call,
                       int64_t side, int threads, size_t shared_bytes) {
  const int64_t tiles = upper_tiles(call.shape.n, side);
  if (tiles > kMostBlocks) {
    return fail(MU_UNSUPPORTED, "%s: a matrix of n %d has more tiles than a grid has blocks; split it", what, call.shape.n);
  }
  call.shape.tiles = static_cast<unsigned>(tiles);
  const int64_t most = kMostBlocks / tiles;
  for (int64_t first = 0; first < call.count; first += most) {
    const int64_t matrices = call.count - first < most ? call.count - first : most;
    T* const c = static_cast<T*>(call.c) + first * call.shape.c_stride;
    const cudaError_t error =
        launch(kernel, dim3(static_cast<unsigned>(tiles * matrices)), dim3(static_cast<unsigned>(threads)), shared_bytes,
               state.stream, from<T>(call.a, first * call.shape.a_stride), from<T>(call.b, first * call.shape.b_stride),
               from<T>(call.d, first * call.shape.d_stride), c,
               call.coefficients + first * call.shape.coefficient_stride, call.shape);
    const mu_status status = check(error, what);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

template <int kSide, bool kTransposed, bool kWhole>
mu_status launch_tensor(const State& state, const char* what, const Call& call) {
  return launch_tiles<bf16>(state, what, symmetric_bf16<kSide, kTransposed, kWhole>, call, kSide, kTensorThreads,
                            tensor_shared_bytes(kSide));
}

bool in_chunks(const void* array, int64_t ld, int64_t stride) {
  return array == nullptr ||
         (reinterpret_cast<uintptr_t>(array) % 16 == 0 && ld % kChunk == 0 && stride % kChunk == 0);
}

/* Whether every row begins and ends at a multiple of 16 bytes, so that chunks are whole. */
bool is_whole(const Call& call) {
  const SymmetricShape& s = call.shape;
  const bool edges = s.n % kChunk == 0 && (call.transposed || s.k % kChunk == 0);
  return edges && in_chunks(call.a, s.lda, s.a_stride) && in_chunks(call.b, s.ldb, s.b_stride) &&
         in_chunks(call.d, s.ldd, s.d_stride) && in_chunks(call.c, s.ldc, s.c_stride);
}

/*
 * The large tiles when there are two blocks of them for every multiprocessor and the matrices fill them: less than half
 * as much again to compute as with the small ones, which have half the operations per byte.
 */
bool takes_large_tiles(const Call& call, int64_t multiprocessors) {
  const int64_t large = upper_tiles(call.shape.n, 128);
  const int64_t small = upper_tiles(call.shape.n, 64);
  return large * 4 * 2 <= small * 3 && large * call.count >= 2 * multiprocessors;
}

template <bool kTransposed>
mu_status product_bf16(const State& state, const char* what, const Call& call) {
  if (!is_whole(call)) {
    return launch_tensor<64, kTransposed, false>(state, what, call);
  }
  int multiprocessors = 0;
  const mu_status status =
      check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, state.device), what);
  if (status != MU_OK) {
    return status;
  }
  return takes_large_tiles(call, multiprocessors) ? launch_tensor<128, kTransposed, true>(state, what, call)
                                                  : launch_tensor<64, kTransposed, true>(state, what, call);
}

template <bool kTransposed>
mu_status product_f32(const State& state, const char* what, const Call& call) {
  return launch_tiles<float>(state, what, symmetric_f32<kTransposed>, call, kPlainSide, kPlainThreads, 0);
}

}  // namespace

mu_status symmetric_product(const mu_context* context, mu_type type, int32_t transposed, int64_t n, int64_t k,
                            const void* a, int64_t lda, int64_t a_stride, const void* b, int64_t ldb, int64_t b_stride,
                            const void* d, int64_t ldd, int64_t d_stride, void* c, int64_t ldc, int64_t c_stride,
                            const float* coefficients, int64_t coefficient_stride, int64_t count) {
  const char* what = "mu_symmetric_product";
  State* state = nullptr;
  const mu_status status = enter(context, what, &state);
  if (status != MU_OK || n == 0 || count == 0) {
    return status;
  }
  if (n > kMostSide || k > kMostSide) {
    return fail(MU_UNSUPPORTED, "%s: n %lld and k %lld must be below 2^31 - 256 on CUDA", what,
                static_cast<long long>(n), static_cast<long long>(k));
  }
  const SymmetricShape shape = {static_cast<int>(n), static_cast<int>(k), lda, a_stride, ldb,      b_stride, ldd,
                                d_stride,            ldc,                 c_stride, coefficient_stride, 0};
  const Call call = {a, b, d, c, coefficients, count, shape, transposed != 0};
  if (type == MU_BF16) {
    return call.transposed ? product_bf16<true>(*state, what, call) : product_bf16<false>(*state, what, call);
  }
  return call.transposed ? product_f32<true>(*state, what, call) : product_f32<false>(*state, what, call);
}

}  // namespace muonium::cuda
