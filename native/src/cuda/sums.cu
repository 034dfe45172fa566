/*
 * sums.cu - sums of squares: of one array, and the sweep over all gradients that decides a step. In double, in an order that the
 * sizes alone decide; no atomics.
 */
#include "cuda/sums.h"

#include "cuda/elements.h"
#include "cuda/launch.h"
#include "cuda/table.h"
#include "math/step.h"

namespace muonium::cuda {
namespace {

/* Threads of the kernels that add up partial sums. */
constexpr int kFoldThreads = kChunkThreads;

template <class T>
MU_DEVICE void add_squares(const T* x, int count, double& sum) {
  /* Whole groups of eight; the lanes of a warp side by side. */
  constexpr int piece = sizeof(T) == 2 ? 8 : 4;
  const int units = is_aligned(x, Group<T, piece>::kAlignment) ? count / kUnit : 0;
  /* Four loads are under way at a time. */
#pragma unroll 2
  for (int unit = static_cast<int>(warp_index()); unit < units; unit += kChunkWarps) {
    Group<T, piece> group;
    group.load(x + unit * kUnit + lane_offset<piece>());
    float values[kPerLane];
    group.widen(values);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const double wide = static_cast<double>(values[i]);
      sum = __fma_rn(wide, wide, sum);
    }
  }
  for (int i = units * kUnit + static_cast<int>(threadIdx.x); i < count; i += kChunkThreads) {
    const double wide = static_cast<double>(to_float(x[i]));
    sum = __fma_rn(wide, wide, sum);
  }
}

MU_DEVICE double squares_of_span(const void* x, int32_t type, Span span) {
  double sum = 0.0;
  if (type == MU_BF16) {
    add_squares(static_cast<const bf16*>(x) + span.begin, static_cast<int>(span.count), sum);
  } else {
    add_squares(static_cast<const float*>(x) + span.begin, static_cast<int>(span.count), sum);
  }
  return sum;
}

/* partial[block] <- the sum over the block's chunks. */
__global__ void __launch_bounds__(kChunkThreads, 4) sum_squares_kernel(const void* x, int32_t type, int64_t elements,
                                                                    int64_t chunks, double* partial) {
  __shared__ double room[kChunkWarps];
  double sum = 0.0;
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    sum += squares_of_span(x, type, span_of(elements, chunk));
  }
  const double total = block_sum(sum, room);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = total;
  }
}

/* partial[chunk] <- the sum over that chunk. */
__global__ void __launch_bounds__(kChunkThreads, 4) gradient_chunks_kernel(const mu_gradient* gradients, int64_t count,
                                                                        int64_t chunks, double* partial) {
  __shared__ double room[kChunkWarps];
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const mu_gradient& gradient = gradients[find_record(gradients, count, chunk)];
    const Span span = span_of(gradient.elements, chunk - gradient.first_chunk);
    const double sum = block_sum(squares_of_span(gradient.gradient, gradient.type, span), room);
    if (threadIdx.x == 0) {
      partial[chunk] = sum;
    }
  }
}

/* For thread 0: partial[0] + ... + partial[count - 1]. */
MU_DEVICE double folded(const double* partial, int64_t count, double (&room)[kChunkWarps]) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < count; i += kFoldThreads) {
    sum += partial[i];
  }
  return block_sum(sum, room);
}

__global__ void __launch_bounds__(kFoldThreads, 4) fold_kernel(const double* partial, int64_t count, double* sum) {
  __shared__ double room[kChunkWarps];
  const double total = folded(partial, count, room);
  if (threadIdx.x == 0) {
    *sum = total;
  }
}

/* A block of threads per gradient: the sum over its chunks takes the place of the first of them. */
__global__ void __launch_bounds__(kFoldThreads, 4) fold_gradients_kernel(const mu_gradient* gradients, double* partial) {
  __shared__ double room[kChunkWarps];
  const mu_gradient& gradient = gradients[blockIdx.x];
  if (gradient.elements == 0) {
    return;
  }
  double* const own = partial + gradient.first_chunk;
  const double total = folded(own, (gradient.elements + MU_CHUNK - 1) / MU_CHUNK, room);
  if (threadIdx.x == 0) {
    *own = total;
  }
}

/* One block of threads: the sums of all gradients, which is the first that cannot be used, and what follows from them. */
__global__ void __launch_bounds__(kFoldThreads, 1) decide_kernel(const mu_gradient* gradients, int64_t count,
                                                              const double* partial, mu_step* step) {
  __shared__ double room[kChunkWarps];
  __shared__ int64_t first[kFoldThreads];
  double sum = 0.0;
  int64_t mine = count;
  for (int64_t i = threadIdx.x; i < count; i += kFoldThreads) {
    const mu_gradient& gradient = gradients[i];
    const double of_gradient = gradient.elements == 0 ? 0.0 : partial[gradient.first_chunk];
    sum += of_gradient;
    if (mine == count && !is_usable(of_gradient, step->gradient_scale, gradient.limit)) {
      mine = i;
    }
  }
  first[threadIdx.x] = mine;
  const double total = block_sum(sum, room); /* with barriers: all of first is there */
  if (threadIdx.x == 0) {
    int64_t least = count;
    for (int i = 0; i < kFoldThreads; ++i) {
      least = first[i] < least ? first[i] : least;
    }
    StepSweep sweep;
    sweep.sum = total;
    sweep.first_non_finite = least < count ? least : -1;
    decide(sweep, *step);
  }
}

}  // namespace

mu_status partial_sums(State& state, const char* what, double** partial) {
  static_assert(kSumBlocks * sizeof(double) <= kScratchFromTheStart);
  void* memory = nullptr;
  const mu_status status = scratch(state, kSumBlocks * sizeof(double), what, &memory);
  *partial = static_cast<double*>(memory);
  return status;
}

mu_status add_partial_sums(State& state, const char* what, const double* partial, int64_t count, double* sum) {
  return check(launch(fold_kernel, dim3(1), dim3(kFoldThreads), 0, state.stream, partial, count, sum), what);
}

mu_status sum_squares(const mu_context* context, const void* x, mu_type type, int64_t begin, int64_t end, double* sum) {
  const char* what = "mu_sum_squares";
  State* state = nullptr;
  double* partial = nullptr;
  mu_status status = enter(context, what, &state);
  if (status == MU_OK) {
    status = partial_sums(*state, what, &partial);
  }
  if (status != MU_OK) {
    return status;
  }
  const int64_t chunks = chunks_of(end - begin);
  const int64_t blocks = chunks < kSumBlocks ? chunks : kSumBlocks;
  if (chunks > 0) {
    const void* from = static_cast<const char*>(x) + begin * (type == MU_BF16 ? 2 : 4);
    status = check(launch(sum_squares_kernel, grid_of(blocks), dim3(kChunkThreads), 0, state->stream, from,
                          static_cast<int32_t>(type), end - begin, chunks, partial),
                   what);
  }
  return status == MU_OK ? add_partial_sums(*state, what, partial, blocks, sum) : status;
}

mu_status gradient_sweep(const mu_context* context, const mu_gradient* gradients, int64_t count, int64_t chunks,
                         double* partial, mu_step* step) {
  const char* what = "mu_gradient_sweep";
  State* state = nullptr;
  mu_status status = enter(context, what, &state);
  const dim3 threads(kChunkThreads);
  if (status == MU_OK && chunks > 0) {
    status = check(
        launch(gradient_chunks_kernel, grid_of(chunks), threads, 0, state->stream, gradients, count, chunks, partial),
        what);
  }
  if (status == MU_OK && count > 0) {
    status = check(launch(fold_gradients_kernel, grid_of(count), threads, 0, state->stream, gradients, partial), what);
  }
  return status == MU_OK
             ? check(launch(decide_kernel, dim3(1), threads, 0, state->stream, gradients, count, partial, step), what)
             : status;
}

}  // namespace muonium::cuda
