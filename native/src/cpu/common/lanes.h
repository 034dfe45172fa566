/*
 * lanes.h - sixteen floats at a time, as one AVX-512 register, two of AVX2 or four of SSE. A struct of the tier's own
 * registers and not one vector of 64 bytes, because g++ keeps a vector that is wider than a register in memory. Sums
 * keep one partial sum per lane and fold them in a fixed order, so that a result does not depend on the tier.
 */
#ifndef MUONIUM_CPU_LANES_H
#define MUONIUM_CPU_LANES_H

#include <cstdint>
#include <cstring>

#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {
namespace {

constexpr int64_t kLanes = 16;

#if defined(__AVX512F__)
constexpr int64_t kRegisterBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kRegisterBytes = 32;
#else
constexpr int64_t kRegisterBytes = 16;
#endif
constexpr int64_t kParts = kLanes * 4 / kRegisterBytes;

using Part = float __attribute__((vector_size(kRegisterBytes)));
using PartBits = int32_t __attribute__((vector_size(kRegisterBytes)));

struct Lanes {
  Part part[kParts];
};

/* All bits of a lane set where a comparison holds. */
struct LaneMask {
  PartBits part[kParts];
};

/* A Result whose parts are of(part number). */
template <class Result, class Of>
[[gnu::always_inline]] inline Result by_part(const Of& of) {
  Result result;
#pragma GCC unroll 4
  for (int64_t p = 0; p < kParts; ++p) {
    result.part[p] = of(p);
  }
  return result;
}

[[gnu::always_inline]] inline Lanes all(float value) {
  return by_part<Lanes>([&](int64_t) { return Part{} + value; });
}

#define MU_LANES_OPERATOR(op)                                                        \
  [[gnu::always_inline]] inline Lanes operator op(const Lanes& a, const Lanes& b) {  \
    return by_part<Lanes>([&](int64_t p) { return a.part[p] op b.part[p]; });        \
  }                                                                                  \
  [[gnu::always_inline]] inline Lanes operator op(const Lanes& a, float b) {         \
    return by_part<Lanes>([&](int64_t p) { return a.part[p] op b; });                \
  }                                                                                  \
  [[gnu::always_inline]] inline Lanes operator op(float a, const Lanes& b) {         \
    return by_part<Lanes>([&](int64_t p) { return a op b.part[p]; });                \
  }
MU_LANES_OPERATOR(+)
MU_LANES_OPERATOR(-)
MU_LANES_OPERATOR(*)
MU_LANES_OPERATOR(/)
#undef MU_LANES_OPERATOR

[[gnu::always_inline]] inline Lanes operator-(const Lanes& a) {
  return by_part<Lanes>([&](int64_t p) { return -a.part[p]; });
}

[[gnu::always_inline]] inline void operator+=(Lanes& a, const Lanes& b) {
  a = a + b;
}

[[gnu::always_inline]] inline LaneMask operator<(const Lanes& a, const Lanes& b) {
  return by_part<LaneMask>([&](int64_t p) { return a.part[p] < b.part[p]; });
}

[[gnu::always_inline]] inline LaneMask operator<(const Lanes& a, float b) {
  return a < all(b);
}

/* a where the mask is set, else b. */
[[gnu::always_inline]] inline Lanes select(const LaneMask& mask, const Lanes& a, const Lanes& b) {
  return by_part<Lanes>([&](int64_t p) { return mask.part[p] ? a.part[p] : b.part[p]; });
}

/* The greater in every lane; b where either is NaN. */
[[gnu::always_inline]] inline Lanes greater(const Lanes& a, const Lanes& b) {
  return select(b < a, a, b);
}

/* Part by part: g++ copies a struct in pieces of 16 bytes. */
[[gnu::always_inline]] inline Lanes load(const float* x) {
  return by_part<Lanes>([&](int64_t p) {
    Part part;
    std::memcpy(&part, x + p * (kLanes / kParts), sizeof part);
    return part;
  });
}

[[gnu::always_inline]] inline void store(float* x, const Lanes& lanes) {
#pragma GCC unroll 4
  for (int64_t p = 0; p < kParts; ++p) {
    std::memcpy(x + p * (kLanes / kParts), &lanes.part[p], sizeof lanes.part[p]);
  }
}

/* The first count lanes from memory, the others from fill; count < 16. */
inline Lanes load_first(const float* x, int64_t count, float fill) {
  float part[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    part[i] = i < count ? x[i] : fill;
  }
  return load(part);
}

inline void store_first(float* x, int64_t count, const Lanes& lanes) {
  float part[kLanes];
  store(part, lanes);
  for (int64_t i = 0; i < count; ++i) {
    x[i] = part[i];
  }
}

inline float sum(const Lanes& lanes) {
  float part[kLanes];
  store(part, lanes);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) {
      part[i] += part[i + width];
    }
  }
  return part[0];
}

inline float largest(const Lanes& lanes) {
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
  return sum_over(x, y, n, [](const Lanes& a, const Lanes& b) { return a * b; });
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
