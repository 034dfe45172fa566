/* simd_avx2.h - sixteen lanes in two registers of 256 bits. */
#ifndef MUONIUM_CPU_SIMD_AVX2_H
#define MUONIUM_CPU_SIMD_AVX2_H

#include <immintrin.h>

#include "cpu/simd/nearest.h"
#include "math/format.h"
#include "math/square_sums.h"

namespace muonium::cpu::MU_TIER {
namespace {

struct F32x16 {
  __m256 low;
  __m256 high;

  F32x16() = default;
  F32x16(__m256 a, __m256 b) : low(a), high(b) {}
  explicit F32x16(float x) : low(_mm256_set1_ps(x)), high(low) {}
};

struct U32x16 {
  __m256i low;
  __m256i high;

  U32x16() = default;
  U32x16(__m256i a, __m256i b) : low(a), high(b) {}
  explicit U32x16(uint32_t x) : low(_mm256_set1_epi32(static_cast<int>(x))), high(low) {}
};

MU_MATH F32x16 operator+(F32x16 a, F32x16 b) {
  return F32x16(_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high));
}
MU_MATH F32x16 operator-(F32x16 a, F32x16 b) {
  return F32x16(_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high));
}
MU_MATH F32x16 operator*(F32x16 a, F32x16 b) {
  return F32x16(_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high));
}
MU_MATH F32x16 operator/(F32x16 a, F32x16 b) {
  return F32x16(_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high));
}
MU_MATH F32x16 fused(F32x16 a, F32x16 b, F32x16 c) {
  return F32x16(_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high));
}
MU_MATH F32x16 square_root(F32x16 a) {
  return F32x16(_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high));
}

MU_MATH U32x16 operator+(U32x16 a, U32x16 b) {
  return U32x16(_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high));
}
MU_MATH U32x16 operator*(U32x16 a, U32x16 b) {
  return U32x16(_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high));
}
MU_MATH U32x16 operator^(U32x16 a, U32x16 b) {
  return U32x16(_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high));
}
MU_MATH U32x16 operator>>(U32x16 a, int count) {
  return U32x16(_mm256_srli_epi32(a.low, count), _mm256_srli_epi32(a.high, count));
}
/* first, first + 1, ... */
MU_MATH U32x16 counting_from(uint32_t first) {
  const __m256i steps = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return U32x16(first) + U32x16(steps, _mm256_add_epi32(steps, _mm256_set1_epi32(8)));
}

MU_MATH __m256 widen(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/* Eight halves in the lower parts of 32-bit lanes; see narrow of the AVX-512 tier. */
MU_MATH __m256i narrow_lanes(__m256 x, __m256i addend) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, addend), 16);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, nan);
}

/* The pack works within halves of a register; the permutation puts the quarters in order. */
MU_MATH __m256i narrow(F32x16 x, U32x16 addend) {
  const __m256i packed = _mm256_packus_epi32(narrow_lanes(x.low, addend.low), narrow_lanes(x.high, addend.high));
  return _mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0));
}

MU_MATH __m256i nearest_addend(__m256 x) {
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(_mm256_castps_si256(x), 16), _mm256_set1_epi32(1));
  return _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
}

MU_MATH __m256i narrow_to_nearest(F32x16 x) {
  return narrow(x, U32x16(nearest_addend(x.low), nearest_addend(x.high)));
}

MU_MATH F32x16 load(const float* p) {
  return F32x16(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}
MU_MATH F32x16 load(const bf16* p) {
  return F32x16(widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8))));
}
template <class T>
MU_MATH F32x16 load_first(const T* p, int64_t count) {
  T lanes[16] = {};
  memcpy(lanes, p, static_cast<size_t>(count) * sizeof(T));
  return load(lanes);
}

MU_MATH void store(float* p, F32x16 x) {
  _mm256_storeu_ps(p, x.low);
  _mm256_storeu_ps(p + 8, x.high);
}
MU_MATH void store(bf16* p, F32x16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_to_nearest(x));
}
template <class T>
MU_MATH void store_first(T* p, F32x16 x, int64_t count) {
  T lanes[16];
  store(lanes, x);
  memcpy(p, lanes, static_cast<size_t>(count) * sizeof(T));
}

MU_MATH bool has_nan(const F32x16 (&x)[4]) {
  __m256 nan = _mm256_cmp_ps(x[0].low, x[0].high, _CMP_UNORD_Q);
  for (int i = 1; i < 4; ++i) {
    nan = _mm256_or_ps(nan, _mm256_cmp_ps(x[i].low, x[i].high, _CMP_UNORD_Q));
  }
  return _mm256_movemask_ps(nan) != 0;
}

/* Kept apart: inlined, it would take registers from the common case. */
[[maybe_unused, gnu::noinline]] static void store_uncommon(bf16* p, const float (&x)[64]) {
  for (int i = 0; i < 64; i += 16) {
    store(p + i, load(x + i));
  }
}

template <bool stream>
MU_MATH void store_quad(float* p, const F32x16 (&x)[4], bool) {
  for (int i = 0; i < 4; ++i) {
    if constexpr (stream) {
      _mm256_stream_ps(p + 16 * i, x[i].low);
      _mm256_stream_ps(p + 16 * i + 8, x[i].high);
    } else {
      store(p + 16 * i, x[i]);
    }
  }
}

/*
 * Rounds the middle of two neighbours up, which takes two operations of five away and is the same for all but those:
 * they show as sums whose lower half is 0. If the bits are random, one quad of 1000 has one.
 */
template <bool stream>
MU_MATH void store_quad(bf16* p, const F32x16 (&x)[4], bool finite) {
  const __m256i half = _mm256_set1_epi32(0x8000);
  U32x16 sum[4];
  __m256i least = _mm256_set1_epi32(-1);
  for (int i = 0; i < 4; ++i) {
    sum[i] = U32x16(_mm256_add_epi32(_mm256_castps_si256(x[i].low), half),
                    _mm256_add_epi32(_mm256_castps_si256(x[i].high), half));
    /* The upper halves take part, and do not matter. */
    least = _mm256_min_epu16(least, _mm256_min_epu16(sum[i].low, sum[i].high));
  }
  const __m256i middle = _mm256_cmpeq_epi32(_mm256_slli_epi32(least, 16), _mm256_setzero_si256());
  if (__builtin_expect(!_mm256_testz_si256(middle, middle) || (!finite && has_nan(x)), 0)) {
    alignas(32) float elements[64];
    for (int i = 0; i < 4; ++i) {
      store(elements + 16 * i, x[i]);
    }
    store_uncommon(p, elements);
    return;
  }
  for (int i = 0; i < 4; ++i) {
    const U32x16 upper = sum[i] >> 16;
    const __m256i packed = _mm256_packus_epi32(upper.low, upper.high);
    const __m256i halves = _mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0));
    __m256i* target = reinterpret_cast<__m256i*>(p + 16 * i);
    if constexpr (stream) {
      _mm256_stream_si256(target, halves);
    } else {
      _mm256_storeu_si256(target, halves);
    }
  }
}

/* round_to_bf16_stochastically, lane by lane. */
MU_MATH void store_stochastically(bf16* p, F32x16 x, U32x16 random) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x, random >> 16));
}
MU_MATH void store_first_stochastically(bf16* p, F32x16 x, U32x16 random, int64_t count) {
  bf16 lanes[16];
  store_stochastically(lanes, x, random);
  memcpy(p, lanes, static_cast<size_t>(count) * sizeof(bf16));
}

/* The maximum of magnitude_bits. */
struct Absmax {
  __m256i v = _mm256_setzero_si256();
};

MU_MATH void include(Absmax& absmax, F32x16 x) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  const __m256i low = _mm256_and_si256(_mm256_castps_si256(x.low), mask);
  const __m256i high = _mm256_and_si256(_mm256_castps_si256(x.high), mask);
  absmax.v = _mm256_max_epu32(absmax.v, _mm256_max_epu32(low, high));
}
MU_MATH uint32_t bits(const Absmax& absmax) {
  __m128i m = _mm_max_epu32(_mm256_castsi256_si128(absmax.v), _mm256_extracti128_si256(absmax.v, 1));
  m = _mm_max_epu32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
  m = _mm_max_epu32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(m));
}

/* The lanes of square_sums.h: 0 to 15 for the even vectors of a range, 16 to 31 for the odd ones. */
struct SquareSums {
  __m256d v[8] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                  _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
};

MU_MATH void add_squares_of(__m256d& sum, __m128 x) {
  const __m256d wide = _mm256_cvtps_pd(x);
  sum = _mm256_fmadd_pd(wide, wide, sum);
}
MU_MATH void add_squares(SquareSums& sums, F32x16 even, F32x16 odd) {
  add_squares_of(sums.v[0], _mm256_castps256_ps128(even.low));
  add_squares_of(sums.v[1], _mm256_extractf128_ps(even.low, 1));
  add_squares_of(sums.v[2], _mm256_castps256_ps128(even.high));
  add_squares_of(sums.v[3], _mm256_extractf128_ps(even.high, 1));
  add_squares_of(sums.v[4], _mm256_castps256_ps128(odd.low));
  add_squares_of(sums.v[5], _mm256_extractf128_ps(odd.low, 1));
  add_squares_of(sums.v[6], _mm256_castps256_ps128(odd.high));
  add_squares_of(sums.v[7], _mm256_extractf128_ps(odd.high, 1));
}
MU_MATH double total(const SquareSums& sums) {
  double lanes[kSumLanes];
  for (int i = 0; i < 8; ++i) {
    _mm256_storeu_pd(lanes + 4 * i, sums.v[i]);
  }
  return fold_lanes(lanes);
}

/* The sums of add_run in square_sums.h. */
struct RunSums {
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
};

/* Returns whether all eight were normal: then no element is a NaN or infinite. */
MU_MATH bool add_run(RunSums& sums, const F32x16 (&x)[4]) {
  const F32x16 squares = fused(x[3], x[3], fused(x[2], x[2], fused(x[1], x[1], x[0] * x[0])));
  const __m256 folded = _mm256_add_ps(squares.low, squares.high);
  const __m256 small = _mm256_cmp_ps(folded, _mm256_set1_ps(__FLT_MIN__), _CMP_NGE_UQ);
  const __m256 great = _mm256_cmp_ps(folded, _mm256_set1_ps(__FLT_MAX__), _CMP_NLE_UQ);
  if (__builtin_expect(_mm256_movemask_ps(_mm256_or_ps(small, great)) != 0, 0)) {
    alignas(32) double lanes[kRunSums];
    alignas(32) float elements[kRun];
    _mm256_store_pd(lanes, sums.low);
    _mm256_store_pd(lanes + 4, sums.high);
    for (int i = 0; i < 4; ++i) {
      store(elements + 16 * i, x[i]);
    }
    add_run_in_double(lanes, elements);
    sums.low = _mm256_load_pd(lanes);
    sums.high = _mm256_load_pd(lanes + 4);
    return false;
  }
  sums.low = _mm256_add_pd(sums.low, _mm256_cvtps_pd(_mm256_castps256_ps128(folded)));
  sums.high = _mm256_add_pd(sums.high, _mm256_cvtps_pd(_mm256_extractf128_ps(folded, 1)));
  return true;
}
MU_MATH double total(const RunSums& sums) {
  double lanes[kRunSums];
  _mm256_storeu_pd(lanes, sums.low);
  _mm256_storeu_pd(lanes + 4, sums.high);
  return fold_lanes(lanes);
}

MU_MATH F32x16 load_codes(const int8_t* codes) {
  const auto eight = [](const int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  };
  return F32x16(eight(codes), eight(codes + 8));
}
/* Integers from -128 to 255 in 32-bit lanes, as bytes. */
MU_MATH __m128i narrow_to_bytes(__m256i low, __m256i high) {
  const __m256i mask = _mm256_set1_epi32(0xff);
  const __m256i halves = _mm256_packus_epi32(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask));
  const __m256i ordered = _mm256_permute4x64_epi64(halves, _MM_SHUFFLE(3, 1, 2, 0));
  return _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
}
/* Rounds to nearest even; for |q| <= 127. */
MU_MATH void store_codes(int8_t* codes, F32x16 a, F32x16 b, F32x16 c, F32x16 d) {
  const auto bytes = [](F32x16 x, F32x16 y) {
    const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high));
    const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(y.low), _mm256_cvtps_epi32(y.high));
    /* The packs work within halves of a register. */
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  };
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), bytes(a, b));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + 32), bytes(c, d));
}

/* How near, at least, some products came to the middle of two codes; see store_products. */
struct Doubts {
  __m256i least = _mm256_set1_epi32(-1); /* in the lower halves of the lanes; the upper ones do not matter */
};

/*
 * Stores the codes of x * reciprocal, |.| <= 127, rounded to nearest, and notes where that is in doubt.
 *
 * One fused operation makes each a float from 256 to 512, whose lower 15 bits are a fraction and the next eight an
 * integer: 128 more than the code, because what is added has half a code in it. Doubled, the fraction fills the lower
 * half of a lane. So rounding, packing and the distance take five operations for eight elements; rounding, subtracting
 * and converting took seven.
 *
 * In units of the fraction, 2^-15, the exact product is within 5/8 of the rounded x / scale: the scale and the
 * reciprocal each round by at most 2^-24 of 127, the quotient by 2^-18. The float rounds by another 1/2. So there is
 * doubt where the fraction is -1, 0 or 1: in 1 of 85 blocks of 128 elements. One more unit is added, for these to be
 * the least.
 */
MU_MATH void store_products(int8_t* codes, const F32x16 (&x)[4], F32x16 reciprocal, Doubts& doubts) {
  const __m256 shift = _mm256_set1_ps(256.0f + 128.0f + 0.5f + 0x1p-15f);
  const auto doubled = [&](__m256 v) {
    const __m256i bits = _mm256_castps_si256(_mm256_fmadd_ps(v, reciprocal.low, shift));
    return _mm256_add_epi32(bits, bits);
  };
  for (int i = 0; i < 4; i += 2) {
    const __m256i a = doubled(x[i].low);
    const __m256i b = doubled(x[i].high);
    const __m256i c = doubled(x[i + 1].low);
    const __m256i d = doubled(x[i + 1].high);
    doubts.least = _mm256_min_epu16(doubts.least, _mm256_min_epu16(_mm256_min_epu16(a, b), _mm256_min_epu16(c, d)));
    /* The upper halves of both: 0x87, bits of the exponent, and the code + 128. */
    const __m256i ab = _mm256_blend_epi16(_mm256_srli_epi32(a, 16), b, 0xaa);
    const __m256i cd = _mm256_blend_epi16(_mm256_srli_epi32(c, 16), d, 0xaa);
    /* Codes of a, c, b, d in each lane, once 0x87 and the 128 are gone. */
    const __m256i acbd = _mm256_xor_si256(_mm256_xor_si256(ab, _mm256_slli_epi16(cd, 8)), _mm256_set1_epi16(0x0780));
    const __m256i fours = _mm256_shuffle_epi8(
        acbd, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + 16 * i),
                        _mm256_permutevar8x32_epi32(fours, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
}
MU_MATH bool any(const Doubts& doubts) {
  const __m256i fraction = _mm256_and_si256(doubts.least, _mm256_set1_epi32(0xffff));
  return _mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_set1_epi32(2 * 3), fraction)) != 0;
}

MU_MATH F32x16 clamp(F32x16 x, float low, float high) {
  const __m256 l = _mm256_set1_ps(low);
  const __m256 h = _mm256_set1_ps(high);
  return F32x16(_mm256_max_ps(l, _mm256_min_ps(h, x.low)), _mm256_max_ps(l, _mm256_min_ps(h, x.high)));
}

MU_MATH __m256 from_integer(__m256 x) {
  const __m256 rest = _mm256_sub_ps(x, _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), rest);
}

MU_MATH F32x16 look_up(const DynamicMap& map, const uint8_t* codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  return F32x16(_mm256_i32gather_ps(map.value, _mm256_cvtepu8_epi32(bytes), 4),
                _mm256_i32gather_ps(map.value, _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), 4));
}

/* dynamic_encode, lane by lane. */
MU_MATH __m256i search(const DynamicMap& map, __m256 a) {
  __m256i code = _mm256_setzero_si256();
  for (int step = 128; step > 0; step /= 2) {
    const __m256i last = _mm256_add_epi32(code, _mm256_set1_epi32(step - 1));
    const __m256 threshold = _mm256_i32gather_ps(map.threshold, last, 4);
    const __m256i below = _mm256_castps_si256(_mm256_cmp_ps(threshold, a, _CMP_LT_OQ));
    code = _mm256_add_epi32(code, _mm256_and_si256(below, _mm256_set1_epi32(step)));
  }
  return code;
}

/* The codes of a = x / scale, -1 <= a <= 1, in 32-bit lanes; *doubt is set in lanes next to a threshold. */
template <const DynamicMap& map, const NearestTable& table>
MU_MATH __m256i nearest_lanes(__m256 a, __m256* doubt) {
  constexpr bool has_sign = map.zero > 0;
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 t = has_sign ? _mm256_andnot_ps(sign, a) : _mm256_max_ps(a, _mm256_setzero_ps());
  __m256i segment = _mm256_setzero_si256();
  for (int d = 0; d + 1 < kSegments; ++d) {
    const __m256 above = _mm256_cmp_ps(t, _mm256_set1_ps(table.border[d]), _CMP_GT_OQ);
    segment = _mm256_sub_epi32(segment, _mm256_castps_si256(above));
  }
  const auto integers = [](const int32_t(&values)[kSegments]) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(values));
  };
  const __m256 slope = _mm256_permutevar8x32_ps(_mm256_load_ps(table.slope), segment);
  const __m256 offset = _mm256_permutevar8x32_ps(_mm256_load_ps(table.offset), segment);
  const __m256 x = _mm256_fmadd_ps(_mm256_min_ps(t, _mm256_set1_ps(table.cap)), slope, offset);
  const __m256i first = _mm256_permutevar8x32_epi32(integers(table.first), segment);
  const __m256i last = _mm256_permutevar8x32_epi32(integers(table.last), segment);
  __m256i rank = _mm256_min_epi32(_mm256_add_epi32(first, _mm256_cvttps_epi32(x)), last);
  const __m256 top = _mm256_cmp_ps(a, _mm256_set1_ps(table.border[kSegments - 1]), _CMP_GT_OQ);
  rank = _mm256_sub_epi32(rank, _mm256_castps_si256(top));
  if constexpr (has_sign) {
    const __m256i negative = _mm256_srai_epi32(_mm256_castps_si256(a), 31);
    rank = _mm256_sub_epi32(_mm256_xor_si256(rank, negative), negative);
  }
  *doubt = _mm256_cmp_ps(from_integer(x), _mm256_set1_ps(kDoubt), _CMP_LT_OQ);
  return _mm256_add_epi32(rank, _mm256_set1_epi32(map.zero));
}

/* See nearest.h. */
template <const DynamicMap& map, const NearestTable& table>
MU_MATH void store_nearest(uint8_t* codes, F32x16 a) {
  __m256 low_doubt;
  __m256 high_doubt;
  __m256i low = nearest_lanes<map, table>(a.low, &low_doubt);
  __m256i high = nearest_lanes<map, table>(a.high, &high_doubt);
  if (__builtin_expect(_mm256_movemask_ps(_mm256_or_ps(low_doubt, high_doubt)) != 0, 0)) {
    low = search(map, a.low);
    high = search(map, a.high);
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), narrow_to_bytes(low, high));
}

/* Makes codes at least 1 where x is positive. */
MU_MATH void lift_positive(uint8_t* codes, F32x16 x) {
  __m128i* target = reinterpret_cast<__m128i*>(codes);
  const auto positive = [](__m256 v) {
    return _mm256_castps_si256(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ));
  };
  const __m128i least = _mm_and_si128(narrow_to_bytes(positive(x.low), positive(x.high)), _mm_set1_epi8(1));
  _mm_storeu_si128(target, _mm_max_epu8(_mm_loadu_si128(target), least));
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
