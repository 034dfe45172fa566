/* compare.h - how far two arrays are apart. */
#ifndef MUONIUM_BENCH_CUDA_COMPARE_H
#define MUONIUM_BENCH_CUDA_COMPARE_H

#include <cmath>
#include <cstring>

#include "bench/cuda/session.h"
#include "math/bf16.h"

namespace bench {

/* In the Frobenius norm, relative to y; NaN when there is one. */
inline double relative_difference(mu_type type, const std::vector<std::byte>& x, const std::vector<std::byte>& y) {
  double error = 0.0;
  double size = 0.0;
  const auto value = [&](const std::vector<std::byte>& from, std::size_t i) {
    if (type == MU_BF16) {
      muonium::bf16 half;
      std::memcpy(&half, from.data() + 2 * i, 2);
      return static_cast<double>(muonium::to_float(half));
    }
    float number;
    std::memcpy(&number, from.data() + 4 * i, 4);
    return static_cast<double>(number);
  };
  for (std::size_t i = 0; i < x.size() / width(type); ++i) {
    const double difference = value(x, i) - value(y, i);
    error += difference * difference;
    size += value(y, i) * value(y, i);
  }
  return std::sqrt(error / size);
}

/* The same numbers in FP32, for what computes in no other type. */
inline std::vector<std::byte> widened(mu_type type, const std::vector<std::byte>& x) {
  if (type == MU_F32) {
    return x;
  }
  std::vector<std::byte> wide(x.size() * 2);
  for (std::size_t i = 0; i < x.size() / 2; ++i) {
    muonium::bf16 half;
    std::memcpy(&half, x.data() + 2 * i, 2);
    const float number = muonium::to_float(half);
    std::memcpy(wide.data() + 4 * i, &number, 4);
  }
  return wide;
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
