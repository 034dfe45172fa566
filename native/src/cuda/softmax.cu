/*
 * softmax.cu - causal softmax of stored scores, and its derivative, in FP32: a warp per row, three passes over it that mostly find it
 * in caches. For what keeps scores; mu_attention does not.
 */
#include <cfloat>

#include "cuda/launch.h"
#include "cuda/pieces.h"
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = kThreads / kWarp;

/* How many columns the row may look at: those up to its own position. The sum is formed only where it cannot overflow. */
MU_DEVICE int64_t visible(int64_t first, int64_t row, int64_t cols) {
  return first >= cols - row - 1 ? cols : first + row + 1;
}

__global__ void __launch_bounds__(kThreads)
softmax_causal_rows(float* scores, int64_t ld, float scale, float* lse, int64_t first, int64_t cols, int64_t row_begin,
                    int64_t row_end) {
  const int64_t lane = lane_index();
  for (int64_t row = row_begin + first_item(kRows) + warp_index(); row < row_end; row += item_stride(kRows)) {
    float* const s = scores + row * ld;
    const int64_t n = visible(first, row, cols);
    float most = -FLT_MAX;
    for (int64_t i = lane; i < n; i += kWarp) {
      most = fmaxf(most, s[i]);
    }
    most = warp_max(most);
    float sum = 0.0f;
    for (int64_t i = lane; i < n; i += kWarp) {
      const float e = expf((s[i] - most) * scale);
      s[i] = e;
      sum += e;
    }
    sum = warp_sum(sum);
    const float factor = 1.0f / sum;
    for (int64_t i = lane; i < cols; i += kWarp) {
      s[i] = i < n ? s[i] * factor : 0.0f;
    }
    if (lane == 0) {
      lse[row] = most * scale + logf(sum);
    }
  }
}

__global__ void __launch_bounds__(kThreads)
softmax_causal_backward_rows(float* scores, float* d, int64_t ld, float scale, const float* lse, const float* delta,
                             int64_t first, int64_t cols, int64_t row_begin, int64_t row_end) {
  const int64_t lane = lane_index();
  for (int64_t row = row_begin + first_item(kRows) + warp_index(); row < row_end; row += item_stride(kRows)) {
    float* const s = scores + row * ld;
    float* const ds = d + row * ld;
    const int64_t n = visible(first, row, cols);
    const float log_sum = lse[row];
    const float mean = delta[row];
    for (int64_t i = lane; i < cols; i += kWarp) {
      const float p = i < n ? expf(s[i] * scale - log_sum) : 0.0f;
      s[i] = p;
      ds[i] = i < n ? p * (ds[i] - mean) * scale : 0.0f;
    }
  }
}

}  // namespace

mu_status softmax_causal(const mu_context* context, float* scores, int64_t ld, float scale, float* lse,
                         int64_t lse_begin, int64_t first, int64_t cols, int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_softmax_causal";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return check(launch(softmax_causal_rows, blocks_for(row_end - row_begin, kRows), dim3(kThreads), 0, state->stream,
                      scores, ld, scale, lse + lse_begin, first, cols, row_begin, row_end),
               name);
}

mu_status softmax_causal_backward(const mu_context* context, float* scores, float* d, int64_t ld, float scale,
                                  const float* lse, const float* delta, int64_t lse_begin, int64_t first, int64_t cols,
                                  int64_t row_begin, int64_t row_end) {
  const char* const name = "mu_softmax_causal_backward";
  State* state;
  const mu_status entered = enter(context, name, &state);
  if (entered != MU_OK || row_begin == row_end) {
    return entered;
  }
  return check(launch(softmax_causal_backward_rows, blocks_for(row_end - row_begin, kRows), dim3(kThreads), 0,
                      state->stream, scores, d, ld, scale, lse + lse_begin, delta + lse_begin, first, cols, row_begin,
                      row_end),
               name);
}

}  // namespace muonium::cuda
