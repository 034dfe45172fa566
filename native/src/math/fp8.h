/*
 * fp8.h - the two 8-bit floating-point formats of the Open Compute Project (OFP8): E4M3 in its "fn" variant, without an
 * infinity and with NaN at 0x7f, and E5M2, which is the upper byte of a half. Numbers are rounded to nearest even and
 * saturate. Without branches, so that a loop over elements becomes vectors.
 */
#ifndef MUONIUM_MATH_FP8_H
#define MUONIUM_MATH_FP8_H

#include "math/format.h"

namespace muonium {

struct E4M3 {
  static constexpr int kMantissaBits = 3;
  static constexpr int kBias = 7;
  static constexpr float kGreatest = 448.0f;
  static constexpr uint32_t kGreatestCode = 0x7eu;
};

struct E5M2 {
  static constexpr int kMantissaBits = 2;
  static constexpr int kBias = 15;
  static constexpr float kGreatest = 57344.0f;
  static constexpr uint32_t kGreatestCode = 0x7bu;
};

/* 2^exponent, of a normal float. */
MU_MATH float power_of_two(int exponent) {
  return float_of_bits(static_cast<uint32_t>(127 + exponent) << 23);
}

/* A NaN becomes 0x7f, an infinity the greatest number. */
template <class F>
MU_MATH uint32_t fp8_code(float x) {
  constexpr int dropped = 23 - F::kMantissaBits;
  /* The step between subnormal numbers, scaled to the lowest bit of a float: adding rounds to it. */
  const float shift = power_of_two(23 + 1 - F::kBias - F::kMantissaBits);
  constexpr uint32_t shift_bits = static_cast<uint32_t>(127 + 23 + 1 - F::kBias - F::kMantissaBits) << 23;
  constexpr uint32_t least_normal_bits = static_cast<uint32_t>(127 + 1 - F::kBias) << 23;
  constexpr uint32_t greatest_bits = ((F::kGreatestCode >> F::kMantissaBits) - F::kBias + 127u) << 23 |
                                     (F::kGreatestCode & ((1u << F::kMantissaBits) - 1u)) << dropped;
  const uint32_t bits = float_bits(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t held = magnitude < greatest_bits ? magnitude : greatest_bits;
  const uint32_t rounded = held + ((1u << (dropped - 1)) - 1u) + ((held >> dropped) & 1u);
  const uint32_t normal = (rounded >> dropped) - (static_cast<uint32_t>(127 - F::kBias) << F::kMantissaBits);
  const uint32_t subnormal = float_bits(float_of_bits(held) + shift) - shift_bits;
  const uint32_t code = held < least_normal_bits ? subnormal : normal;
  return ((bits >> 24) & 0x80u) | (magnitude > kInfinityBits ? 0x7fu : code);
}

template <class F>
MU_MATH float fp8_value(uint32_t code) {
  /* As a float the code has too small an exponent, by the difference of the biases: what is subnormal comes right, too. */
  const float number = float_of_bits((code & 0x7fu) << (23 - F::kMantissaBits)) * power_of_two(127 - F::kBias);
  const uint32_t sign = (code & 0x80u) << 24;
  constexpr uint32_t after_greatest = F::kGreatestCode + 1u;
  const uint32_t special = F::kMantissaBits == 2 && (code & 0x7fu) == after_greatest ? kInfinityBits : kNanBits;
  return float_of_bits(((code & 0x7fu) > F::kGreatestCode ? special : float_bits(number)) | sign);
}

/* A block's scale: absmax becomes the greatest number. NaN for a block that holds something non-finite. */
template <class F>
MU_MATH float fp8_scale(uint32_t absmax_bits) {
  return absmax_bits >= kInfinityBits ? float_of_bits(kNanBits) : float_of_bits(absmax_bits) / F::kGreatest;
}

/* For has_codes(scale). A subnormal scale is coarse, so that x / scale may exceed the greatest number: it saturates. */
template <class F>
MU_MATH uint32_t fp8_encode(float x, float scale) {
  return fp8_code<F>(x / scale);
}

}  // namespace muonium

#endif
