/*
 * bf16.h - bfloat16: the upper half of a float. Two ways of rounding to it: to nearest even, and stochastically, which
 * keeps updates smaller than half a step from being lost on average.
 */
#ifndef MUONIUM_MATH_BF16_H
#define MUONIUM_MATH_BF16_H

#include "math/portable.h"

namespace muonium {

struct bf16 {
  uint16_t bits;
};

MU_MATH float to_float(bf16 x) {
  return float_of_bits(static_cast<uint32_t>(x.bits) << 16);
}

MU_MATH float to_float(float x) {
  return x;
}

/* A NaN stays one: it is made quiet, for the bits that the rounding drops may be all that its payload had. */
MU_MATH uint32_t quiet_nan_half(uint32_t bits) {
  return (bits >> 16) | 0x40u;
}

MU_MATH bool is_nan_bits(uint32_t bits) {
  return (bits & 0x7fffffffu) > 0x7f800000u;
}

/* To nearest even; subnormals are kept, what is above the largest finite bf16 becomes infinite. */
MU_MATH bf16 round_to_bf16(float x) {
  const uint32_t bits = float_bits(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return bf16{static_cast<uint16_t>(is_nan_bits(bits) ? quiet_nan_half(bits) : rounded)};
}

/* Up with the probability that the dropped bits are of one step: adds the upper half of `random` below them. */
MU_MATH bf16 round_to_bf16_stochastically(float x, uint32_t random) {
  const uint32_t bits = float_bits(x);
  const uint32_t rounded = (bits + (random >> 16)) >> 16;
  return bf16{static_cast<uint16_t>(is_nan_bits(bits) ? quiet_nan_half(bits) : rounded)};
}

}  // namespace muonium

#endif
