/* loss.cpp - soft-capped cross-entropy of rows of logits. */
#include <cmath>

#include "cpu/common/arrays.h"
#include "cpu/common/functions.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* z <- cap * tanh(z / cap) (cap 0: as it is); returns the largest. */
inline float cap_row(float* z, int64_t n, float cap) {
  Lanes most = all(-HUGE_VALF);
  const float inverse = cap > 0.0f ? 1.0f / cap : 0.0f;
  for (int64_t i = 0; i < n; i += kLanes) {
    const bool full = i + kLanes <= n;
    Lanes lanes = full ? load(z + i) : load_first(z + i, n - i, -HUGE_VALF);
    if (cap > 0.0f) {
      lanes = cap * tanh_lanes(lanes * inverse);
      full ? store(z + i, lanes) : store_first(z + i, n - i, lanes);
    }
    most = greater(lanes, most);
  }
  return largest(most);
}

inline float sum_of_exp(const float* z, int64_t n, float most) {
  Lanes total{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    total += exp_lanes(load(z + i) - most);
  }
  float tail = 0.0f;
  if (i < n) {
    float part[kLanes];
    store(part, exp_lanes(load_first(z + i, n - i, most) - most));
    for (int64_t j = 0; j < n - i; ++j) {
      tail += part[j];
    }
  }
  return sum(total) + tail;
}

[[gnu::always_inline]] inline Lanes gradient(const Lanes& z, float log_sum, float scale, float inverse_cap) {
  const Lanes t = z * inverse_cap;
  return exp_lanes(z - log_sum) * scale * (1.0f - t * t);
}

inline float log_sum_exp(float* z, int64_t n, float cap) {
  const float most = cap_row(z, n, cap);
  return most + std::log(sum_of_exp(z, n, most));
}

}  // namespace

mu_status cross_entropy(const mu_context*, mu_type, void* logits, float cap, const int32_t* targets, double* losses,
                        int64_t target_begin, int64_t cols, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* z = floats(logits) + row * cols;
    const float log_sum = log_sum_exp(z, cols, cap);
    losses[target_begin + row] = static_cast<double>(log_sum) - static_cast<double>(z[targets[target_begin + row]]);
  }
  return MU_OK;
}

mu_status cross_entropy_backward(const mu_context*, mu_type, void* logits, float cap, const int32_t* targets,
                                 double* losses, int64_t target_begin, float gradient_scale, int64_t cols,
                                 int64_t row_begin, int64_t row_end) {
  const float inverse_cap = cap > 0.0f ? 1.0f / cap : 0.0f;
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* z = floats(logits) + row * cols;
    const int32_t target = targets[target_begin + row];
    const float log_sum = log_sum_exp(z, cols, cap);
    const float at_target = z[target];
    losses[target_begin + row] = static_cast<double>(log_sum) - static_cast<double>(at_target);
    int64_t i = 0;
    for (; i + kLanes <= cols; i += kLanes) {
      store(z + i, gradient(load(z + i), log_sum, gradient_scale, inverse_cap));
    }
    if (i < cols) {
      store_first(z + i, cols - i, gradient(load_first(z + i, cols - i, 0.0f), log_sum, gradient_scale, inverse_cap));
    }
    const float slope = 1.0f - (at_target * inverse_cap) * (at_target * inverse_cap);
    z[target] -= gradient_scale * slope;
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
