/* softmax.cpp - what lies between the matrix products of causal attention whose scores are stored. */
#include <cmath>

#include "cpu/common/arrays.h"
#include "cpu/common/functions.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* How many columns the row may look at: those up to its own position. The sum is formed only where it cannot overflow. */
inline int64_t visible(int64_t first, int64_t row, int64_t cols) {
  return first >= cols - row - 1 ? cols : first + row + 1;
}

inline void clear(float* x, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    x[i] = 0.0f;
  }
}

inline float largest_of(const float* x, int64_t n) {
  Lanes most = all(x[0]);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes lanes = load(x + i);
    most = greater(lanes, most);
  }
  if (i < n) {
    const Lanes lanes = load_first(x + i, n - i, x[0]);
    most = greater(lanes, most);
  }
  return largest(most);
}

}  // namespace

mu_status softmax_causal(const mu_context*, float* scores, int64_t ld, float scale, float* lse, int64_t lse_begin,
                         int64_t first, int64_t cols, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* s = scores + row * ld;
    const int64_t n = visible(first, row, cols);
    const float most = largest_of(s, n);
    Lanes total{};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      const Lanes e = exp_lanes((load(s + i) - most) * scale);
      store(s + i, e);
      total += e;
    }
    float sum_of_row = sum(total);
    if (i < n) {
      float tail[kLanes];
      store(tail, exp_lanes((load_first(s + i, n - i, most) - most) * scale));
      for (int64_t j = 0; j < n - i; ++j) {
        s[i + j] = tail[j];
        sum_of_row += tail[j];
      }
    }
    const float factor = 1.0f / sum_of_row;
    for (int64_t j = 0; j < n; ++j) {
      s[j] *= factor;
    }
    clear(s, n, cols);
    lse[lse_begin + row] = most * scale + std::log(sum_of_row);
  }
  return MU_OK;
}

mu_status softmax_causal_backward(const mu_context*, float* scores, float* d, int64_t ld, float scale,
                                  const float* lse, const float* delta, int64_t lse_begin, int64_t first, int64_t cols,
                                  int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* s = scores + row * ld;
    float* ds = d + row * ld;
    const int64_t n = visible(first, row, cols);
    const float log_sum = lse[lse_begin + row];
    const float mean = delta[lse_begin + row];
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      const Lanes p = exp_lanes(load(s + i) * scale - log_sum);
      store(s + i, p);
      store(ds + i, p * (load(ds + i) - mean) * scale);
    }
    if (i < n) {
      const Lanes p = exp_lanes(load_first(s + i, n - i, 0.0f) * scale - log_sum);
      store_first(s + i, n - i, p);
      store_first(ds + i, n - i, p * (load_first(ds + i, n - i, 0.0f) - mean) * scale);
    }
    clear(s, n, cols);
    clear(ds, n, cols);
  }
  return MU_OK;
}

mu_status head_dots(const mu_context*, mu_type, const void* x, const void* y, float* out, int64_t heads,
                    int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t at = (row * heads + head) * head_dim;
      out[((row / positions) * heads + head) * positions + row % positions] =
          dot(floats(x) + at, floats(y) + at, head_dim);
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
