/* compare.h - how far two arrays are apart. */
#ifndef MUONIUM_BENCH_CUDA_COMPARE_H
#define MUONIUM_BENCH_CUDA_COMPARE_H

#include <cmath>
#include <cstring>

#include "bench/cuda/session.h"
#include "math/bf16.h"

namespace bench {

inline std::vector<float> numbers(mu_type type, const std::vector<std::byte>& array) {
  std::vector<float> x(array.size() / width(type));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (type == MU_BF16) {
      muonium::bf16 half;
      std::memcpy(&half, array.data() + 2 * i, 2);
      x[i] = muonium::to_float(half);
    } else {
      std::memcpy(&x[i], array.data() + 4 * i, 4);
    }
  }
  return x;
}

/* In the Frobenius norm, relative to y; NaN when there is one. */
inline double relative_difference(const std::vector<float>& x, const std::vector<float>& y) {
  double error = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = static_cast<double>(y[i]);
    const double difference = static_cast<double>(x[i]) - expected;
    error += difference * difference;
    size += expected * expected;
  }
  return std::sqrt(error / size);
}

inline double differing_bytes(const std::vector<std::byte>& x, const std::vector<std::byte>& y) {
  double different = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    different += x[i] == y[i] ? 0.0 : 1.0;
  }
  return different;
}

}  // namespace bench

#endif
