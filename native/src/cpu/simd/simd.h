/*
 * simd.h - F32x16 and U32x16: sixteen lanes in whatever registers the tier has (one of 512 bits, two of 256, or plain
 * arrays), so that a kernel is one text and its results are the same bits in every tier.
 *
 *   load / store            sixteen elements, float or bf16, at any address
 *   load_first, store_first the first n of them, 0 <= n <= 16; the others read as 0 and are not touched
 *   store_quad<stream>      sixty-four elements; stream: past the caches, to an address that is a multiple of 64;
 *                           finite: all are known to be, which saves looking for NaNs
 */
#ifndef MUONIUM_CPU_SIMD_H
#define MUONIUM_CPU_SIMD_H

#include "cpu/tier.h"
#include "math/bf16.h"

#if defined(__AVX512F__)
#include "cpu/simd/simd_avx512.h"
#elif defined(__AVX2__)
#include "cpu/simd/simd_avx2.h"
#else
#include "cpu/simd/simd_scalar.h"
#endif

namespace muonium::cpu::MU_TIER {
namespace {

inline constexpr int64_t kLanes = 16;

/* Asks for the lines of `count` elements, `ahead` elements after p; there need be nothing. */
template <class T>
MU_MATH void prefetch(const T* p, int64_t ahead, int64_t count) {
  constexpr uintptr_t kLine = 64;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(p) + static_cast<uintptr_t>(ahead) * sizeof(T);
  for (uintptr_t i = 0; i < static_cast<uintptr_t>(count) * sizeof(T); i += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(begin + i));
  }
}

/*
 * Has the page after the next of p's translated, by asking for its first line; there need be nothing. Asked again for
 * each quad, it takes no branch and finds the line in the cache.
 */
template <class T>
MU_MATH void prefetch_page(const T* p) {
  constexpr uintptr_t kPage = 4096;
  __builtin_prefetch(reinterpret_cast<const void*>((reinterpret_cast<uintptr_t>(p) + 2 * kPage) & ~(kPage - 1)));
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
