/*
 * portable.h - what lets one text of a formula be compiled by the C++ compiler, once per instruction-set tier, and by
 * nvcc. Everything marked MU_MATH has internal linkage: with external linkage the linker would keep ONE copy of an
 * inline function for all tiers, perhaps the AVX-512 one, and the scalar tier would run it on a machine without.
 */
#ifndef MUONIUM_MATH_PORTABLE_H
#define MUONIUM_MATH_PORTABLE_H

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define MU_MATH [[maybe_unused]] static __host__ __device__ __forceinline__
#else
#define MU_MATH [[maybe_unused]] static inline __attribute__((always_inline))
#endif

namespace muonium {

MU_MATH uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

MU_MATH float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

MU_MATH float square_root(float x) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

MU_MATH double double_root(double x) {
#if defined(__CUDA_ARCH__)
  return __dsqrt_rn(x);
#else
  return __builtin_sqrt(x);
#endif
}

/* a * b + c, rounded once. */
MU_MATH float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

}  // namespace muonium

#endif
