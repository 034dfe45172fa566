/* simd_avx512.h - sixteen lanes in one register of 512 bits. */
#ifndef MUONIUM_CPU_SIMD_AVX512_H
#define MUONIUM_CPU_SIMD_AVX512_H

#include <immintrin.h>

#include "cpu/simd/nearest.h"
#include "math/format.h"
#include "math/square_sums.h"

namespace muonium::cpu::MU_TIER {
namespace {

struct F32x16 {
  __m512 v;

  F32x16() = default;
  explicit F32x16(__m512 x) : v(x) {}
  explicit F32x16(float x) : v(_mm512_set1_ps(x)) {}
};

struct U32x16 {
  __m512i v;

  U32x16() = default;
  explicit U32x16(__m512i x) : v(x) {}
  explicit U32x16(uint32_t x) : v(_mm512_set1_epi32(static_cast<int>(x))) {}
};

MU_MATH F32x16 operator+(F32x16 a, F32x16 b) {
  return F32x16(_mm512_add_ps(a.v, b.v));
}
MU_MATH F32x16 operator-(F32x16 a, F32x16 b) {
  return F32x16(_mm512_sub_ps(a.v, b.v));
}
MU_MATH F32x16 operator*(F32x16 a, F32x16 b) {
  return F32x16(_mm512_mul_ps(a.v, b.v));
}
MU_MATH F32x16 operator/(F32x16 a, F32x16 b) {
  return F32x16(_mm512_div_ps(a.v, b.v));
}
MU_MATH F32x16 fused(F32x16 a, F32x16 b, F32x16 c) {
  return F32x16(_mm512_fmadd_ps(a.v, b.v, c.v));
}
MU_MATH F32x16 square_root(F32x16 a) {
  return F32x16(_mm512_sqrt_ps(a.v));
}

MU_MATH U32x16 operator+(U32x16 a, U32x16 b) {
  return U32x16(_mm512_add_epi32(a.v, b.v));
}
MU_MATH U32x16 operator*(U32x16 a, U32x16 b) {
  return U32x16(_mm512_mullo_epi32(a.v, b.v));
}
MU_MATH U32x16 operator^(U32x16 a, U32x16 b) {
  return U32x16(_mm512_xor_si512(a.v, b.v));
}
MU_MATH U32x16 operator>>(U32x16 a, int count) {
  return U32x16(_mm512_srli_epi32(a.v, static_cast<unsigned>(count)));
}
/* first, first + 1, ... */
MU_MATH U32x16 counting_from(uint32_t first) {
  return U32x16(first) + U32x16(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

MU_MATH __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}

MU_MATH F32x16 widen(__m256i halves) {
  return F32x16(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)));
}

/* Adds to the bits what decides the rounding, drops the lower halves; NaNs stay NaNs. */
MU_MATH __m256i narrow(F32x16 x, __m512i addend) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, addend), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet));
}

MU_MATH __m256i narrow_to_nearest(F32x16 x) {
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(_mm512_castps_si512(x.v), 16), _mm512_set1_epi32(1));
  return narrow(x, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}

/* Whether narrow_common gives what narrow_any gives; asked of four vectors at once. */
#if defined(__AVX512BF16__)
MU_MATH bool are_common(const F32x16 (&x)[4], bool) {
  /* The instruction takes subnormals for 0, which round_to_bf16 does not. */
  constexpr int kSubnormal = 0x20;
  const auto either = [](F32x16 a, F32x16 b) {
    return _kor_mask16(_mm512_fpclass_ps_mask(a.v, kSubnormal), _mm512_fpclass_ps_mask(b.v, kSubnormal));
  };
  return _kortestz_mask16_u8(either(x[0], x[1]), either(x[2], x[3])) != 0;
}
MU_MATH __m512i narrow_common(F32x16 low, F32x16 high) {
  const __m512bh both = _mm512_cvtne2ps_pbh(high.v, low.v);
  __m512i bits;
  __builtin_memcpy(&bits, &both, sizeof bits);
  return bits;
}
#else
MU_MATH bool are_common(const F32x16 (&x)[4], bool finite) {
  return finite || _kortestz_mask16_u8(_mm512_cmp_ps_mask(x[0].v, x[1].v, _CMP_UNORD_Q),
                                       _mm512_cmp_ps_mask(x[2].v, x[3].v, _CMP_UNORD_Q)) != 0;
}
MU_MATH __m512i narrow_common(F32x16 low, F32x16 high) {
  const auto rounded = [](F32x16 x) {
    const __m512i bits = _mm512_castps_si512(x.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  };
  /* The odd 16-bit parts, 1, 3, ... 63, of the two. */
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i odd_parts = _mm512_add_epi32(_mm512_set1_epi32(0x00030001),
                                             _mm512_mullo_epi32(lanes, _mm512_set1_epi32(0x00040004)));
  return _mm512_permutex2var_epi16(rounded(low), odd_parts, rounded(high));
}
#endif

MU_MATH __m512i narrow_any(F32x16 low, F32x16 high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(narrow_to_nearest(low)), narrow_to_nearest(high), 1);
}

MU_MATH F32x16 load(const float* p) {
  return F32x16(_mm512_loadu_ps(p));
}
MU_MATH F32x16 load(const bf16* p) {
  return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
MU_MATH F32x16 load_first(const float* p, int64_t count) {
  return F32x16(_mm512_maskz_loadu_ps(first_lanes(count), p));
}
MU_MATH F32x16 load_first(const bf16* p, int64_t count) {
  return widen(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}

MU_MATH void store(float* p, F32x16 x) {
  _mm512_storeu_ps(p, x.v);
}
MU_MATH void store(bf16* p, F32x16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_to_nearest(x));
}
MU_MATH void store_first(float* p, F32x16 x, int64_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), x.v);
}
MU_MATH void store_first(bf16* p, F32x16 x, int64_t count) {
  _mm256_mask_storeu_epi16(p, first_lanes(count), narrow_to_nearest(x));
}

template <bool stream>
MU_MATH void store_quad(float* p, const F32x16 (&x)[4], bool) {
  for (int i = 0; i < 4; ++i) {
    if constexpr (stream) {
      _mm512_stream_ps(p + 16 * i, x[i].v);
    } else {
      store(p + 16 * i, x[i]);
    }
  }
}
template <bool stream>
MU_MATH void store_quad(bf16* p, const F32x16 (&x)[4], bool finite) {
  const bool common = __builtin_expect(are_common(x, finite), 1);
  const __m512i low = common ? narrow_common(x[0], x[1]) : narrow_any(x[0], x[1]);
  const __m512i high = common ? narrow_common(x[2], x[3]) : narrow_any(x[2], x[3]);
  if constexpr (stream) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(p), low);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(p + 32), high);
  } else {
    _mm512_storeu_si512(p, low);
    _mm512_storeu_si512(p + 32, high);
  }
}

/* round_to_bf16_stochastically, lane by lane. */
MU_MATH void store_stochastically(bf16* p, F32x16 x, U32x16 random) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x, _mm512_srli_epi32(random.v, 16)));
}
MU_MATH void store_first_stochastically(bf16* p, F32x16 x, U32x16 random, int64_t count) {
  _mm256_mask_storeu_epi16(p, first_lanes(count), narrow(x, _mm512_srli_epi32(random.v, 16)));
}

/* The maximum of magnitude_bits. */
struct Absmax {
  __m512i v = _mm512_setzero_si512();
};

MU_MATH void include(Absmax& absmax, F32x16 x) {
  const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(0x7fffffff));
  absmax.v = _mm512_max_epu32(absmax.v, magnitude);
}
MU_MATH uint32_t bits(const Absmax& absmax) {
  return _mm512_reduce_max_epu32(absmax.v);
}

/* The lanes of square_sums.h: 0 to 15 for the even vectors of a range, 16 to 31 for the odd ones. */
struct SquareSums {
  __m512d v[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd()};
};

MU_MATH void add_squares(SquareSums& sums, F32x16 even, F32x16 odd) {
  const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(even.v));
  const __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(even.v, 1));
  const __m512d c = _mm512_cvtps_pd(_mm512_castps512_ps256(odd.v));
  const __m512d d = _mm512_cvtps_pd(_mm512_extractf32x8_ps(odd.v, 1));
  sums.v[0] = _mm512_fmadd_pd(a, a, sums.v[0]);
  sums.v[1] = _mm512_fmadd_pd(b, b, sums.v[1]);
  sums.v[2] = _mm512_fmadd_pd(c, c, sums.v[2]);
  sums.v[3] = _mm512_fmadd_pd(d, d, sums.v[3]);
}
MU_MATH double total(const SquareSums& sums) {
  double lanes[kSumLanes];
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_pd(lanes + 8 * i, sums.v[i]);
  }
  return fold_lanes(lanes);
}

/* The sums of add_run in square_sums.h. */
struct RunSums {
  __m512d v = _mm512_setzero_pd();
};

/* Returns whether all eight were normal: then no element is a NaN or infinite. */
MU_MATH bool add_run(RunSums& sums, const F32x16 (&x)[4]) {
  const F32x16 squares = fused(x[3], x[3], fused(x[2], x[2], fused(x[1], x[1], x[0] * x[0])));
  const __m256 folded = _mm256_add_ps(_mm512_castps512_ps256(squares.v), _mm512_extractf32x8_ps(squares.v, 1));
  constexpr int kNotNormal = 0x80 | 0x20 | 0x10 | 0x08 | 0x04 | 0x02 | 0x01; /* all but "negative" */
  if (__builtin_expect(_mm256_fpclass_ps_mask(folded, kNotNormal) != 0, 0)) {
    alignas(64) double lanes[kRunSums];
    alignas(64) float elements[kRun];
    _mm512_store_pd(lanes, sums.v);
    for (int i = 0; i < 4; ++i) {
      _mm512_store_ps(elements + 16 * i, x[i].v);
    }
    add_run_in_double(lanes, elements);
    sums.v = _mm512_load_pd(lanes);
    return false;
  }
  sums.v = _mm512_add_pd(sums.v, _mm512_cvtps_pd(folded));
  return true;
}
MU_MATH double total(const RunSums& sums) {
  double lanes[kRunSums];
  _mm512_storeu_pd(lanes, sums.v);
  return fold_lanes(lanes);
}

MU_MATH F32x16 load_codes(const int8_t* codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  return F32x16(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
}
/* Rounds to nearest even; for |q| <= 127. */
MU_MATH void store_codes(int8_t* codes, F32x16 a, F32x16 b, F32x16 c, F32x16 d) {
  const __m512i ab = _mm512_packs_epi32(_mm512_cvtps_epi32(a.v), _mm512_cvtps_epi32(b.v));
  const __m512i cd = _mm512_packs_epi32(_mm512_cvtps_epi32(c.v), _mm512_cvtps_epi32(d.v));
  /* The packs work within quarters of a register: quarter i has four elements of each of a, b, c, d. */
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(codes, _mm512_permutexvar_epi32(order, _mm512_packs_epi16(ab, cd)));
}
MU_MATH F32x16 clamp(F32x16 x, float low, float high) {
  return F32x16(_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), x.v)));
}

/* How far, at most, some products are from their nearest integers; see store_products. */
struct Doubts {
  __m512 v = _mm512_setzero_ps();
};

/*
 * Stores the codes of x * reciprocal, |.| <= 127, rounded to nearest, and notes where that is in doubt.
 *
 * The product is within 2^-15 of the rounded x / scale: it, the scale and the reciprocal each round by at most 2^-24 of
 * 127, the two results by 2^-18. So where it is further than that from the middle of two integers, both round to the
 * same code; where not, in 1 of 128 blocks of 128 elements, there is doubt.
 */
MU_MATH void store_products(int8_t* codes, const F32x16 (&x)[4], F32x16 reciprocal, Doubts& doubts) {
  constexpr int kGreaterMagnitude = 0xb;
  F32x16 products[4];
  for (int i = 0; i < 4; ++i) {
    products[i] = x[i] * reciprocal;
    const __m512 rest = _mm512_reduce_ps(products[i].v, _MM_FROUND_TO_NEAREST_INT);
    doubts.v = _mm512_range_ps(doubts.v, rest, kGreaterMagnitude);
  }
  store_codes(codes, products[0], products[1], products[2], products[3]);
}
MU_MATH bool any(const Doubts& doubts) {
  return _mm512_cmp_ps_mask(doubts.v, _mm512_set1_ps(0.5f - 0x1p-15f), _CMP_GT_OQ) != 0;
}

/* Sixteen entries of a map, from registers of 32 by the lower five bits of their codes: a gather takes twice as long. */
MU_MATH F32x16 look_up(const DynamicMap& map, const uint8_t* codes) {
  const __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  const __mmask16 bit5 = _mm512_test_epi32_mask(index, _mm512_set1_epi32(1 << 5));
  const __mmask16 bit6 = _mm512_test_epi32_mask(index, _mm512_set1_epi32(1 << 6));
  const __mmask16 bit7 = _mm512_test_epi32_mask(index, _mm512_set1_epi32(1 << 7));
  const auto of32 = [&](const float* value) {
    return _mm512_permutex2var_ps(_mm512_loadu_ps(value), index, _mm512_loadu_ps(value + 16));
  };
  const auto of128 = [&](const float* value) {
    return _mm512_mask_blend_ps(bit6, _mm512_mask_blend_ps(bit5, of32(value), of32(value + 32)),
                                _mm512_mask_blend_ps(bit5, of32(value + 64), of32(value + 96)));
  };
  return F32x16(_mm512_mask_blend_ps(bit7, of128(map.value), of128(map.value + 128)));
}

/* dynamic_encode, lane by lane. */
MU_MATH __m512i search(const DynamicMap& map, F32x16 a) {
  __m512i code = _mm512_setzero_si512();
  for (int step = 128; step > 0; step /= 2) {
    const __m512i last = _mm512_add_epi32(code, _mm512_set1_epi32(step - 1));
    const __m512 threshold = _mm512_i32gather_ps(last, map.threshold, 4);
    const __mmask16 below = _mm512_cmp_ps_mask(threshold, a.v, _CMP_LT_OQ);
    code = _mm512_mask_add_epi32(code, below, code, _mm512_set1_epi32(step));
  }
  return code;
}

MU_MATH __m512 eight_floats(const float (&table)[kSegments]) {
  return _mm512_broadcast_f32x8(_mm256_load_ps(table));
}
MU_MATH __m512i eight_integers(const int32_t (&table)[kSegments]) {
  return _mm512_broadcast_i32x8(_mm256_load_si256(reinterpret_cast<const __m256i*>(table)));
}

/* The codes of a = x / scale, -1 <= a <= 1; see nearest.h. */
template <const DynamicMap& map, const NearestTable& table>
MU_MATH void store_nearest(uint8_t* codes, F32x16 a) {
  constexpr bool has_sign = map.zero > 0;
  const __m512 t = has_sign ? _mm512_abs_ps(a.v) : _mm512_max_ps(a.v, _mm512_setzero_ps());
  __m512i segment = _mm512_setzero_si512();
  for (int d = 0; d + 1 < kSegments; ++d) {
    const __mmask16 above = _mm512_cmp_ps_mask(t, _mm512_set1_ps(table.border[d]), _CMP_GT_OQ);
    segment = _mm512_mask_add_epi32(segment, above, segment, _mm512_set1_epi32(1));
  }
  const __m512 slope = _mm512_permutexvar_ps(segment, eight_floats(table.slope));
  const __m512 offset = _mm512_permutexvar_ps(segment, eight_floats(table.offset));
  const __m512 x = _mm512_fmadd_ps(_mm512_min_ps(t, _mm512_set1_ps(table.cap)), slope, offset);
  const __m512i first = _mm512_permutexvar_epi32(segment, eight_integers(table.first));
  const __m512i last = _mm512_permutexvar_epi32(segment, eight_integers(table.last));
  __m512i rank = _mm512_min_epi32(_mm512_add_epi32(first, _mm512_cvttps_epi32(x)), last);
  const __mmask16 top = _mm512_cmp_ps_mask(a.v, _mm512_set1_ps(table.border[kSegments - 1]), _CMP_GT_OQ);
  rank = _mm512_mask_add_epi32(rank, top, rank, _mm512_set1_epi32(1));
  if constexpr (has_sign) {
    const __mmask16 negative = _mm512_movepi32_mask(_mm512_castps_si512(a.v));
    rank = _mm512_mask_sub_epi32(rank, negative, _mm512_setzero_si512(), rank);
  }
  __m512i code = _mm512_add_epi32(rank, _mm512_set1_epi32(map.zero));
  const __m512 rest = _mm512_abs_ps(_mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT));
  if (__builtin_expect(_mm512_cmp_ps_mask(rest, _mm512_set1_ps(kDoubt), _CMP_LT_OQ) != 0, 0)) {
    code = search(map, a);
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtepi32_epi8(code));
}

/* Makes codes at least 1 where x is positive. */
MU_MATH void lift_positive(uint8_t* codes, F32x16 x) {
  __m128i* target = reinterpret_cast<__m128i*>(codes);
  const __mmask16 positive = _mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_GT_OQ);
  _mm_storeu_si128(target, _mm_max_epu8(_mm_loadu_si128(target), _mm_maskz_set1_epi8(positive, 1)));
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
