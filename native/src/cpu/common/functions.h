/*
 * functions.h - exp, tanh and the logistic function on sixteen floats. The polynomials are near-minimax fits of our own
 * (weighted least squares, iterated, in double); what they give is within 2 ulp (exp) and 3 ulp (tanh, logistic) of the
 * exact value, NaN stays NaN, and there is no branch.
 */
#ifndef MUONIUM_CPU_FUNCTIONS_H
#define MUONIUM_CPU_FUNCTIONS_H

#include "cpu/common/lanes.h"

namespace muonium::cpu::MU_TIER {
namespace {

/*
 * exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2, exp(r) = 1 + r + r^2 * P(r).
 * x is clamped to [-87.3, 88.3], where 2^n is a normal float: nothing underflows to 0 (1.2e-38 instead) or overflows.
 */
[[gnu::always_inline]] inline Lanes exp_lanes(Lanes x) {
  constexpr float log2e = 1.44269504f;
  /* ln 2 in two parts: n times the first is exact for |n| < 2^15. */
  constexpr float ln2_high = 0.693359375f;
  constexpr float ln2_low = -2.12194440e-4f;
  /* Adding 1.5 * 2^23 leaves an integer in the low bits of the mantissa, rounded to nearest even. */
  constexpr float shifter = 12582912.0f;
  x = select(x < -87.3f, all(-87.3f), x);
  x = select(all(88.3f) < x, all(88.3f), x);
  const Lanes shifted = x * log2e + shifter;
  const Lanes n = shifted - shifter;
  const Lanes r = (x - n * ln2_high) - n * ln2_low;
  Lanes p = all(0.0013814599f);
  p = p * r + 0.008368717f;
  p = p * r + 0.04166839f;
  p = p * r + 0.16666521f;
  p = p * r + 0.49999994f;
  p = p * (r * r) + r + 1.0f;
  const Lanes power = by_part<Lanes>([&](int64_t i) {
    return reinterpret_cast<Part>((reinterpret_cast<PartBits>(shifted.part[i]) - 0x4B400000 + 127) << 23);
  });
  return p * power;
}

/* Below 0.625 an odd polynomial, which keeps the relative error; above it 1 - 2 / (exp(2|x|) + 1) with x's sign. */
[[gnu::always_inline]] inline Lanes tanh_lanes(const Lanes& x) {
  const Lanes magnitude = select(x < 0.0f, -x, x);
  const Lanes z = x * x;
  Lanes p = all(-0.0057049864f);
  p = p * z + 0.020639086f;
  p = p * z - 0.053739715f;
  p = p * z + 0.13331442f;
  p = p * z - 0.3333328f;
  const Lanes small = x + x * z * p;
  const Lanes large = 1.0f - 2.0f / (exp_lanes(2.0f * magnitude) + 1.0f);
  return select(magnitude < 0.625f, small, select(x < 0.0f, -large, large));
}

/* 1 / (1 + exp(-x)). */
[[gnu::always_inline]] inline Lanes logistic_lanes(const Lanes& x) {
  return 1.0f / (1.0f + exp_lanes(-x));
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
