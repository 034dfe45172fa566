/*
 * newton_schulz_begin.cu - mu_newton_schulz_begin. Every block of a matrix adds up that matrix's sums for itself, in the
 * order of the CPU's (32 lanes, folded), so that one launch is enough: a few kilobytes from the cache. A matrix of an
 * ordinary norm is not touched, and all blocks but its first, which writes the coefficients, have nothing else to do.
 */
#include "cuda/launch.h"
#include "cuda/state.h"
#include "cuda/table.h"
#include "math/bf16.h"
#include "math/newton_schulz.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kElementsPerBlock = 32 * kThreads;
/* Few: scaling is rare, the launch is not. */
constexpr int64_t kMostBlocksPerMatrix = 16;
constexpr int64_t kMostBlocks = 0x7fffffff;

MU_DEVICE void assign(float* out, float x) {
  *out = x;
}

MU_DEVICE void assign(bf16* out, float x) {
  *out = round_to_bf16(x);
}

/* The same order as fold_lanes: lane j holds the numbers j, j + 32, ... The result is in lane 0. */
MU_DEVICE double sum_of_warp(const double* x, int64_t count) {
  double sum = 0.0;
  for (int64_t i = lane_index(); i < count; i += kWarp) {
    sum += x[i];
  }
  for (unsigned width = kWarp / 2; width > 0; width /= 2) {
    sum += shuffle_down(sum, width);
  }
  return sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
newton_schulz_begin_of_all(mu_newton_schulz_start start, T* x, int64_t elements, int64_t stride, const double* sums,
                           int64_t sums_per_matrix, float* coefficients, const mu_step* step, unsigned blocks) {
  if (step != nullptr && step->first_non_finite >= 0) {
    return;
  }
  __shared__ int shift;
  const int64_t matrix = blockIdx.x / blocks;
  const unsigned block = blockIdx.x % blocks;
  if (warp_index() == 0) {
    const double squares = sum_of_warp(sums + matrix * sums_per_matrix, sums_per_matrix);
    if (lane_index() == 0) {
      const NewtonSchulzBegin begin = newton_schulz_begin_of(start, sqrt(squares));
      shift = begin.shift;
      if (block == 0) {
        coefficients[3 * matrix] = begin.a;
        coefficients[3 * matrix + 1] = begin.b;
        coefficients[3 * matrix + 2] = begin.c;
      }
    }
  }
  __syncthreads();
  if (shift == 0) {
    return;
  }
  T* const values = x + matrix * stride;
  const float factor = static_cast<float>(power_of_two(shift));
  for (int64_t i = static_cast<int64_t>(block) * kThreads + threadIdx.x; i < elements;
       i += static_cast<int64_t>(blocks) * kThreads) {
    assign(values + i, factor * to_float(values[i]));
  }
}

template <class T>
mu_status begin(const State& state, const char* what, const mu_newton_schulz_start& start, T* x, int64_t elements,
                int64_t stride, int64_t count, const double* sums, int64_t sums_per_matrix, float* coefficients,
                const mu_step* step) {
  const int64_t wanted = (elements + kElementsPerBlock - 1) / kElementsPerBlock;
  const int64_t blocks = wanted < 1 ? 1 : wanted < kMostBlocksPerMatrix ? wanted : kMostBlocksPerMatrix;
  const int64_t most = kMostBlocks / blocks;
  for (int64_t first = 0; first < count; first += most) {
    const int64_t matrices = count - first < most ? count - first : most;
    const mu_status status =
        check(launch(newton_schulz_begin_of_all<T>, dim3(static_cast<unsigned>(blocks * matrices)), dim3(kThreads), 0,
                     state.stream, start, x + first * stride, elements, stride, sums + first * sums_per_matrix,
                     sums_per_matrix, coefficients + 3 * first, step, static_cast<unsigned>(blocks)),
              what);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

}  // namespace

mu_status newton_schulz_begin(const mu_context* context, const mu_newton_schulz_start* start, void* x, mu_type type,
                              int64_t elements, int64_t stride, int64_t count, const double* sums,
                              int64_t sums_per_matrix, float* coefficients, const mu_step* step) {
  const char* what = "mu_newton_schulz_begin";
  State* state = nullptr;
  const mu_status status = enter(context, what, &state);
  if (status != MU_OK) {
    return status;
  }
  if (type == MU_BF16) {
    return begin(*state, what, *start, static_cast<bf16*>(x), elements, stride, count, sums, sums_per_matrix,
                 coefficients, step);
  }
  return begin(*state, what, *start, static_cast<float*>(x), elements, stride, count, sums, sums_per_matrix,
               coefficients, step);
}

}  // namespace muonium::cuda
