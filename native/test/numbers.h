/* numbers.h - inputs for the tests, and arithmetic of their own to check the kernels' with. */
#ifndef MUONIUM_TEST_NUMBERS_H
#define MUONIUM_TEST_NUMBERS_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <tuple>
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

inline std::string name(Kind kind) {
  switch (kind) {
    case Kind::kNormal:
      return "normal";
    case Kind::kWide:
      return "exponents from -40 to 40";
    case Kind::kTies:
      return "halves of integers";
    case Kind::kSubnormal:
      return "subnormal";
    case Kind::kZeros:
      return "zeros";
    case Kind::kSparse:
      return "nearly all zero";
  }
  return "";
}

inline std::vector<float> draw(Kind kind, int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> halves(-254, 254);
  std::uniform_int_distribution<int> exponent(-40, 40);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) {
    switch (kind) {
      case Kind::kNormal:
        x[i] = normal(random);
        break;
      case Kind::kWide:
        x[i] = std::ldexp(normal(random), exponent(random));
        break;
      case Kind::kTies: /* with an absmax of 127 in every block of 64 or more, scale is 1 */
        x[i] = i % 64 == 0 ? 127.0f : 0.5f * static_cast<float>(halves(random));
        break;
      case Kind::kSubnormal:
        x[i] = normal(random) * 1e-39f;
        break;
      case Kind::kZeros:
        x[i] = i % 2 == 0 ? 0.0f : -0.0f;
        break;
      case Kind::kSparse:
        x[i] = random() % 97 == 0 ? normal(random) : 0.0f;
        break;
    }
  }
  return x;
}

/* The same numbers for the same arguments. They are kept: drawing them took a quarter of some suites' time. */
inline std::vector<float> numbers(Kind kind, int64_t count, uint32_t seed) {
  constexpr int64_t kMostKept = int64_t{1} << 24;
  static std::map<std::tuple<Kind, int64_t, uint32_t>, std::vector<float>> drawn;
  static int64_t kept = 0;
  const auto key = std::tuple(kind, count, seed);
  const auto found = drawn.find(key);
  if (found != drawn.end()) {
    return found->second;
  }
  std::vector<float> x = draw(kind, count, seed);
  if (kept + count <= kMostKept) {
    kept += count;
    drawn.emplace(key, x);
  }
  return x;
}

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
