/*
 * quantized.h - optimizer state on the device: how the codes of a block become numbers and numbers codes, with the formulas
 * of math/format.h. Each format has
 *
 *   Tables                       what a block of threads keeps in shared memory; prepare() fills it, a barrier follows
 *   stored(tables, code)         what a code stands for, times the scale
 *   Encoder(absmax_bits)         how numbers of a block with this greatest magnitude become codes; has its scale
 *   encode(tables, encoder, x)   the code of one number
 *   encode_group(...)            the codes of a lane's eight numbers
 */
#ifndef MUONIUM_CUDA_QUANTIZED_H
#define MUONIUM_CUDA_QUANTIZED_H

#include "cuda/elements.h"
#include "math/dynamic_guess.h"
#include "math/format.h"
#include "math/fp8.h"

namespace muonium::cuda {

static __device__ const DynamicTables kSignedTables = make_dynamic_tables(kDynamicSigned);
static __device__ const DynamicTables kUnsignedTables = make_dynamic_tables(kDynamicUnsigned);
static_assert(bins_suffice(make_dynamic_tables(kDynamicSigned)) && bins_suffice(make_dynamic_tables(kDynamicUnsigned)));

struct NoTables {};

MU_DEVICE uint32_t byte_of(uint32_t word, int i) {
  return (word >> (8 * i)) & 0xffu;
}

struct LinearFormat {
  using Tables = NoTables;
  static constexpr uint8_t kZero = 0;

  MU_DEVICE static void prepare(Tables&) {}

  MU_DEVICE static float stored(const Tables&, uint8_t code) { return linear_value(static_cast<int8_t>(code)); }

  /*
   * Codes are turned into 0 ... 255 by their upper bit and put into the mantissa of 2^23, from which 2^23 + 128 is then
   * subtracted, exactly: a byte permutation and a subtraction, both at full rate, which a conversion is not.
   */
  MU_DEVICE static void stored_group(const Tables&, const uint32_t (&words)[2], float (&x)[kPerLane]) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const uint32_t biased = words[i / 4] ^ 0x80808080u;
      x[i] = float_of_bits(__byte_perm(biased, 0x4b000000u, 0x7540u + static_cast<unsigned>(i % 4))) - 8388736.0f;
    }
  }

  struct Encoder {
    float scale;
    float reciprocal;

    MU_DEVICE explicit Encoder(uint32_t absmax_bits)
        : scale(linear_scale(absmax_bits)), reciprocal(kLinearSteps / float_of_bits(absmax_bits)) {}
  };

  MU_DEVICE static uint8_t encode(const Tables&, const Encoder& encoder, float x) {
    return has_codes(encoder.scale) ? static_cast<uint8_t>(linear_encode(x, encoder.scale)) : kZero;
  }

  /*
   * A product instead of a division, as in the vector kernels of the CPU (see LinearState there): x * (127 / absmax) is within
   * 2^-15 of x / scale, so where it is further than that from the middle of two integers, both round to the same code. The
   * division is for the groups where it is not, one of 2048, and for scales so small that the bound does not hold.
   */
  MU_DEVICE static void encode_group(const Tables& tables, const Encoder& encoder, const float (&x)[kPerLane],
                                     uint32_t (&words)[2]) {
    constexpr float kLeastReciprocal = 0x1p-100f;
    constexpr float kSurelyRounded = 0.5f - 0x1p-15f;
    float furthest = 0.0f;
    uint32_t bits[kPerLane];
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const float product = x[i] * encoder.reciprocal;
      const float shifted = product + kRoundingShift; /* its lower byte is the code */
      furthest = fmaxf(furthest, fabsf(product - (shifted - kRoundingShift)));
      bits[i] = float_bits(shifted);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      words[i] = __byte_perm(__byte_perm(bits[4 * i], bits[4 * i + 1], 0x0040u),
                             __byte_perm(bits[4 * i + 2], bits[4 * i + 3], 0x0040u), 0x5410u);
    }
    if (!(encoder.scale >= kLeastReciprocal) || furthest > kSurelyRounded) {
      words[0] = 0;
      words[1] = 0;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        words[i / 4] |= static_cast<uint32_t>(encode(tables, encoder, x[i])) << (8 * (i % 4));
      }
    }
  }
};

template <bool has_sign>
struct DynamicFormat {
  using Tables = DynamicTables;
  static constexpr uint8_t kZero = has_sign ? 127 : 0;

  MU_DEVICE static void prepare(Tables& tables) {
    static_assert(sizeof(Tables) % 16 == 0);
    const char* const from = reinterpret_cast<const char*>(has_sign ? &kSignedTables : &kUnsignedTables);
    char* const to = reinterpret_cast<char*>(&tables);
    for (unsigned i = 16 * threadIdx.x; i < sizeof(Tables); i += 16 * blockDim.x) {
      store16(to + i, load16_readonly(from + i));
    }
  }

  MU_DEVICE static float stored(const Tables& tables, uint8_t code) { return tables.value[code]; }

  MU_DEVICE static void stored_group(const Tables& tables, const uint32_t (&words)[2], float (&x)[kPerLane]) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      x[i] = tables.value[byte_of(words[i / 4], i % 4)];
    }
  }

  struct Encoder {
    float scale;

    MU_DEVICE explicit Encoder(uint32_t absmax_bits) : scale(dynamic_scale(absmax_bits)) {}
  };

  /* For has_codes(scale); a map without a sign has code 0 for what is below 0. */
  MU_DEVICE static uint32_t nearest(const Tables& tables, float scale, float x) {
    const float a = x / scale;
    return guessed_code(tables, has_sign || a > 0.0f ? a : 0.0f);
  }

  MU_DEVICE static uint8_t encode(const Tables& tables, const Encoder& encoder, float x) {
    return has_codes(encoder.scale) ? static_cast<uint8_t>(nearest(tables, encoder.scale, x)) : kZero;
  }

  MU_DEVICE static void encode_group(const Tables& tables, const Encoder& encoder, const float (&x)[kPerLane],
                                     uint32_t (&words)[2]) {
    words[0] = 0x01010101u * kZero;
    words[1] = words[0];
    if (has_codes(encoder.scale)) {
      words[0] = 0;
      words[1] = 0;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        words[i / 4] |= nearest(tables, encoder.scale, x[i]) << (8 * (i % 4));
      }
    }
  }
};

using DynamicSignedFormat = DynamicFormat<true>;
using DynamicUnsignedFormat = DynamicFormat<false>;
static_assert(kDynamicSigned.zero == 127 && kDynamicUnsigned.zero == 0);

/* AdamW's v. */
struct SecondMomentFormat : DynamicUnsignedFormat {
  MU_DEVICE static uint8_t encode(const Tables& tables, const Encoder& encoder, float v) {
    return has_codes(encoder.scale)
               ? second_moment_code(static_cast<uint8_t>(nearest(tables, encoder.scale, v)), v)
               : kZero;
  }

  MU_DEVICE static void encode_group(const Tables& tables, const Encoder& encoder, const float (&v)[kPerLane],
                                     uint32_t (&words)[2]) {
    words[0] = 0;
    words[1] = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      words[i / 4] |= static_cast<uint32_t>(encode(tables, encoder, v[i])) << (8 * (i % 4));
    }
  }
};

template <class F>
struct Fp8Format {
  using Tables = NoTables;

  MU_DEVICE static void prepare(Tables&) {}

  MU_DEVICE static float stored(const Tables&, uint8_t code) { return fp8_value<F>(code); }

  MU_DEVICE static void stored_group(const Tables&, const uint32_t (&words)[2], float (&x)[kPerLane]) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      x[i] = fp8_value<F>(byte_of(words[i / 4], i % 4));
    }
  }

  struct Encoder {
    float scale;

    MU_DEVICE explicit Encoder(uint32_t absmax_bits) : scale(fp8_scale<F>(absmax_bits)) {}
  };

  MU_DEVICE static uint8_t encode(const Tables&, const Encoder& encoder, float x) {
    return has_codes(encoder.scale) ? static_cast<uint8_t>(fp8_encode<F>(x, encoder.scale)) : uint8_t{0};
  }

  MU_DEVICE static void encode_group(const Tables&, const Encoder& encoder, const float (&x)[kPerLane],
                                     uint32_t (&words)[2]) {
    words[0] = 0;
    words[1] = 0;
    if (has_codes(encoder.scale)) {
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) {
        words[i / 4] |= fp8_encode<F>(x[i], encoder.scale) << (8 * (i % 4));
      }
    }
  }
};

/* FP32: no codes, no scales. A marker; kernels have a way of their own for it. */
struct PlainFormat {
  using Tables = NoTables;
  MU_DEVICE static void prepare(Tables&) {}
};

template <class Format>
inline constexpr bool kIsQuantized = true;
template <>
inline constexpr bool kIsQuantized<PlainFormat> = false;

/* The greatest magnitude over the 16 lanes that hold a block, in each of them. */
MU_DEVICE uint32_t block_absmax(const float (&x)[kPerLane]) {
  uint32_t absmax = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    absmax = max(absmax, magnitude_bits(x[i]));
  }
#pragma unroll
  for (int apart = kLanesPerBlock / 2; apart > 0; apart /= 2) {
    absmax = max(absmax, shuffle_xor(absmax, apart));
  }
  return absmax;
}

}  // namespace muonium::cuda

#endif
