/*
 * newton_schulz.h - how Newton-Schulz begins (the normalization of its input, folded into the first step's coefficients)
 * and how an entry of its polynomials is put together. The only text of both, for the CPU and for CUDA.
 */
#ifndef MUONIUM_MATH_NEWTON_SCHULZ_H
#define MUONIUM_MATH_NEWTON_SCHULZ_H

#include "math/portable.h"
#include "muonium.h"

namespace muonium {

/* With a norm of 2^+-this, neither the Gram matrix nor its square leaves the range of FP32 or bfloat16. */
inline constexpr int kEasyExponent = 12;
/* Two to this power, up and down, is a normal float. */
inline constexpr int kMostShift = 126;

struct NewtonSchulzBegin {
  int shift; /* X is multiplied by 2^shift */
  float a;
  float b;
  float c;
};

MU_MATH double double_of_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

MU_MATH uint64_t double_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* 2^exponent for an exponent of a normal double. */
MU_MATH double power_of_two(int exponent) {
  return double_of_bits(static_cast<uint64_t>(exponent + 1023) << 52);
}

/*
 * From the Frobenius norm of the input, which is not negative. Powers of two only go into X, so that nothing is rounded
 * there; the remaining factor goes into the coefficients. A norm that is not finite makes all of them NaN: it has to be
 * seen in the result.
 */
MU_MATH NewtonSchulzBegin newton_schulz_begin_of(const mu_newton_schulz_start& start, double norm) {
  if (norm == 0.0) {
    return NewtonSchulzBegin{0, 0.0f, 0.0f, 0.0f};
  }
  if (!(norm - norm == 0.0)) {
    const float nan = float_of_bits(0x7fc00000u);
    return NewtonSchulzBegin{0, nan, nan, nan};
  }
  const double scaled = norm * start.norm_factor;
  const double divisor = start.convention == MU_NORM_ADD_EPSILON ? scaled + start.epsilon
                         : scaled > start.epsilon                ? scaled
                                                                 : start.epsilon;
  const int exponent = static_cast<int>(double_bits(norm) >> 52) - 1023;
  int shift = 0;
  if (exponent > kEasyExponent || exponent < -kEasyExponent) {
    shift = -exponent > kMostShift ? kMostShift : -exponent < -kMostShift ? -kMostShift : -exponent;
  }
  const double s = 1.0 / divisor * power_of_two(-shift);
  return NewtonSchulzBegin{shift, static_cast<float>(start.a * s), static_cast<float>(start.b * s * s * s),
                           static_cast<float>(start.c * s * s * s * s * s)};
}

/* An entry of c0 I + c1 D + c2 A B^T; the diagonal's is rounded once more, the others' as mu_axpby does. */
MU_MATH float polynomial_entry(float c0, float c1, float c2, bool has_d, bool on_diagonal, float d, float product) {
  const float scaled = c2 * product;
  const float sum = has_d ? scaled + c1 * d : scaled;
  return on_diagonal ? sum + c0 : sum;
}

}  // namespace muonium

#endif
