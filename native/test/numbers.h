/* numbers.h - inputs for the tests, and arithmetic of their own to check the kernels' with. */
#ifndef MUONIUM_TEST_NUMBERS_H
#define MUONIUM_TEST_NUMBERS_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "muonium.h"

namespace test {

/* Sizes around every border of the kernels: vectors, pairs of vectors, blocks, streaming. */
inline const std::vector<int64_t>& ragged_sizes() {
  static const std::vector<int64_t> sizes = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 1000, 2049, 5003};
  return sizes;
}

/* The sort of numbers that a test is run with. */
enum class Kind { kNormal, kWide, kTies, kSubnormal, kZeros, kSparse };
inline constexpr Kind kKinds[] = {Kind::kNormal, Kind::kWide, Kind::kTies, Kind::kSubnormal, Kind::kZeros, Kind::kSparse};

std::string name(Kind kind);

/* The same numbers for the same arguments. */
std::vector<float> numbers(Kind kind, int64_t count, uint32_t seed);

inline float from_bf16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/* The nearest bf16 by trying the two neighbours in double; for numbers, not NaN. */
inline uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint16_t toward_zero = static_cast<uint16_t>(bits >> 16);
  const uint16_t away = static_cast<uint16_t>(toward_zero + 1);
  if (std::isinf(x)) {
    return toward_zero;
  }
  const double down = std::fabs(static_cast<double>(x) - static_cast<double>(from_bf16(toward_zero)));
  const double up_value = std::isinf(from_bf16(away)) ? std::copysign(0x1p128, static_cast<double>(x))
                                                      : static_cast<double>(from_bf16(away));
  const double up = std::fabs(up_value - static_cast<double>(x));
  return down < up || (down == up && toward_zero % 2 == 0) ? toward_zero : away;
}

/* An array of either element type, as bytes; to pass where the ABI takes `const void*, mu_type`. */
inline std::vector<std::byte> as_type(const std::vector<float>& x, mu_type type) {
  std::vector<std::byte> bytes(x.size() * (type == MU_BF16 ? 2 : 4));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (type == MU_BF16) {
      const uint16_t half = to_bf16(x[i]);
      std::memcpy(&bytes[2 * i], &half, 2);
    } else {
      std::memcpy(&bytes[4 * i], &x[i], 4);
    }
  }
  return bytes;
}

inline double value_at(const std::byte* array, mu_type type, int64_t i) {
  if (type == MU_BF16) {
    uint16_t half;
    std::memcpy(&half, array + 2 * i, 2);
    return static_cast<double>(from_bf16(half));
  }
  float x;
  std::memcpy(&x, array + 4 * i, 4);
  return static_cast<double>(x);
}

}  // namespace test

#endif
