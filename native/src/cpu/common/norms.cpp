/* norms.cpp - RMS normalization without weights, alone and behind a rotation of positions. */
#include <cmath>

#include "cpu/common/arrays.h"
#include "cpu/common/lanes.h"

namespace muonium::cpu::MU_TIER {
namespace {

inline float reciprocal_rms(const float* x, int64_t n, float eps) {
  return 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps);
}

/* (a, b) <- (a cos - b sin, a sin + b cos) for the two halves of a head; the cosines stand before the sines. */
inline void rotate(float* x, const float* table, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[half + i];
    x[i] = a * table[i] - b * table[half + i];
    x[half + i] = a * table[half + i] + b * table[i];
  }
}

inline void rotate_back(float* x, const float* table, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[half + i];
    x[i] = a * table[i] + b * table[half + i];
    x[half + i] = b * table[i] - a * table[half + i];
  }
}

}  // namespace

mu_status rms_norm(const mu_context*, mu_type, const void* x, void* y, float* rstd, float eps, int64_t cols,
                   int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* from = floats(x) + row * cols;
    float* to = floats(y) + row * cols;
    const float r = reciprocal_rms(from, cols, eps);
    rstd[row] = r;
    for (int64_t i = 0; i < cols; ++i) {
      to[i] = from[i] * r;
    }
  }
  return MU_OK;
}

mu_status rms_norm_backward(const mu_context*, mu_type, const void* dy, const void* x, const float* rstd,
                            const void* add, void* dx, int64_t cols, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t at = row * cols;
    const float* from = floats(dy) + at;
    const float* values = floats(x) + at;
    float* to = floats(dx) + at;
    const float r = rstd[row];
    /* dx = r * (dy - y * mean(dy * y)) with y = x * r */
    const float factor = r * r * r * (dot(from, values, cols) / static_cast<float>(cols));
    if (add != nullptr) {
      const float* more = floats(add) + at;
      for (int64_t i = 0; i < cols; ++i) {
        to[i] = more[i] + (r * from[i] - factor * values[i]);
      }
    } else {
      for (int64_t i = 0; i < cols; ++i) {
        to[i] = r * from[i] - factor * values[i];
      }
    }
  }
  return MU_OK;
}

mu_status rotary_norm(const mu_context*, mu_type, void* x, float* rstd, const float* table, float eps, int64_t heads,
                      int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t head = row * heads; head < (row + 1) * heads; ++head) {
      float* values = floats(x) + head * head_dim;
      rotate(values, table + (row % positions) * head_dim, head_dim / 2);
      const float r = reciprocal_rms(values, head_dim, eps);
      rstd[head] = r;
      for (int64_t i = 0; i < head_dim; ++i) {
        values[i] *= r;
      }
    }
  }
  return MU_OK;
}

mu_status rotary_norm_backward(const mu_context*, mu_type, const void* y, const float* rstd, const float* table,
                               void* dy, int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin,
                               int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t head = row * heads; head < (row + 1) * heads; ++head) {
      const float* values = floats(y) + head * head_dim;
      float* gradient = floats(dy) + head * head_dim;
      const float mean = dot(gradient, values, head_dim) / static_cast<float>(head_dim);
      for (int64_t i = 0; i < head_dim; ++i) {
        gradient[i] = rstd[head] * (gradient[i] - values[i] * mean);
      }
      rotate_back(gradient, table + (row % positions) * head_dim, head_dim / 2);
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
