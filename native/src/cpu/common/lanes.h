/*
 * lanes.h - sixteen floats at a time, by the compiler's vector extension: one text that becomes one AVX-512 register,
 * two of AVX2 or four of SSE. Sums keep one partial sum per lane and fold them in a fixed order, so that a result does
 * not depend on the tier.
 */
#ifndef MUONIUM_CPU_LANES_H
#define MUONIUM_CPU_LANES_H

#include <cstdint>
#include <cstring>

#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {
namespace {

constexpr int64_t kLanes = 16;

using Lanes = float __attribute__((vector_size(4 * kLanes)));
using LaneBits = int32_t __attribute__((vector_size(4 * kLanes)));

[[gnu::always_inline]] inline Lanes all(float value) {
  return Lanes{} + value;
}

[[gnu::always_inline]] inline Lanes load(const float* x) {
  Lanes lanes;
  std::memcpy(&lanes, x, sizeof lanes);
  return lanes;
}

[[gnu::always_inline]] inline void store(float* x, Lanes lanes) {
  std::memcpy(x, &lanes, sizeof lanes);
}

/* The first count lanes from memory, the others from fill; count < 16. */
inline Lanes load_first(const float* x, int64_t count, float fill) {
  float part[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    part[i] = i < count ? x[i] : fill;
  }
  return load(part);
}

inline void store_first(float* x, int64_t count, Lanes lanes) {
  float part[kLanes];
  store(part, lanes);
  for (int64_t i = 0; i < count; ++i) {
    x[i] = part[i];
  }
}

inline float sum(Lanes lanes) {
  float part[kLanes];
  store(part, lanes);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) {
      part[i] += part[i + width];
    }
  }
  return part[0];
}

inline float largest(Lanes lanes) {
  float part[kLanes];
  store(part, lanes);
  float most = part[0];
  for (int64_t i = 1; i < kLanes; ++i) {
    most = part[i] > most ? part[i] : most;
  }
  return most;
}

/* The sum over n elements of term(i-th lanes of x, of y), where short lanes are filled up with zeros. */
template <class Term>
[[gnu::always_inline]] inline float sum_over(const float* x, const float* y, int64_t n, const Term& term) {
  Lanes total{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    total += term(load(x + i), load(y + i));
  }
  if (i < n) {
    total += term(load_first(x + i, n - i, 0.0f), load_first(y + i, n - i, 0.0f));
  }
  return sum(total);
}

[[gnu::always_inline]] inline float dot(const float* x, const float* y, int64_t n) {
  return sum_over(x, y, n, [](Lanes a, Lanes b) { return a * b; });
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
