/*
 * format.h - the block formats of optimizer state: what the scale and the codes of a block are. The only text of it;
 * the scalar kernels and the CUDA kernels compile it, the vector kernels are tested against it bit for bit.
 */
#ifndef MUONIUM_MATH_FORMAT_H
#define MUONIUM_MATH_FORMAT_H

#include "math/dynamic_map.h"
#include "math/portable.h"

namespace muonium {

inline constexpr int64_t kMinBlock = 64;
inline constexpr int64_t kMaxBlock = 2048;
inline constexpr float kLinearSteps = 127.0f;
/* Adding and subtracting 1.5 * 2^23 rounds a float below 2^22 to an integer, half to even. */
inline constexpr float kRoundingShift = 12582912.0f;
inline constexpr uint32_t kInfinityBits = 0x7f800000u;
inline constexpr uint32_t kNanBits = 0x7fc00000u;

/*
 * |x| as an integer that orders like the number, with infinity above all numbers and NaN above infinity. The maximum
 * of these is a block's absmax, or tells that the block holds something non-finite, in whatever order it is taken.
 */
MU_MATH uint32_t magnitude_bits(float x) {
  return float_bits(x) & 0x7fffffffu;
}

/* A block with a NaN or an infinity: NaN, so that the whole block decodes to NaN. */
MU_MATH float linear_scale(uint32_t absmax_bits) {
  return absmax_bits >= kInfinityBits ? float_of_bits(kNanBits) : float_of_bits(absmax_bits) / kLinearSteps;
}

MU_MATH float dynamic_scale(uint32_t absmax_bits) {
  return absmax_bits >= kInfinityBits ? float_of_bits(kNanBits) : float_of_bits(absmax_bits);
}

/* False for a block of zeros and for one with something non-finite: its codes are those of 0. */
MU_MATH bool has_codes(float scale) {
  return scale > 0.0f;
}

/* For has_codes(scale). A subnormal scale is coarse, so that x / scale may exceed 127 by far: hence the clamp. */
MU_MATH int8_t linear_encode(float x, float scale) {
  const float q = x / scale;
  const float clamped = q > kLinearSteps ? kLinearSteps : (q < -kLinearSteps ? -kLinearSteps : q);
  return static_cast<int8_t>((clamped + kRoundingShift) - kRoundingShift);
}

/* What a code stands for is this times the scale. */
MU_MATH float linear_value(int8_t code) {
  return static_cast<float>(code);
}

/*
 * A dynamic map with its decision thresholds: the code of a is the number of thresholds below a. A threshold is the
 * largest float that is not above the middle of two neighbours, so that comparing floats decides as exact arithmetic
 * would, and a tie goes to the lower entry. The 256th threshold is above everything.
 */
struct DynamicMap {
  float value[256];
  float threshold[256];
  int32_t zero; /* the code of 0 */
};

constexpr DynamicMap make_dynamic_map(const float (&value)[256]) {
  DynamicMap map{};
  for (int i = 0; i < 256; ++i) {
    map.value[i] = value[i];
    if (value[i] == 0.0f) {
      map.zero = i;
    }
  }
  for (int i = 0; i < 255; ++i) {
    const double middle = (static_cast<double>(value[i]) + static_cast<double>(value[i + 1])) / 2.0; /* exact */
    float below = static_cast<float>(middle);
    if (static_cast<double>(below) > middle) {
      const uint32_t bits = __builtin_bit_cast(uint32_t, below);
      below = __builtin_bit_cast(float, below > 0.0f ? bits - 1u : bits + 1u);
    }
    map.threshold[i] = below;
  }
  map.threshold[255] = __builtin_huge_valf();
  return map;
}

inline constexpr DynamicMap kDynamicSigned = make_dynamic_map(kDynamicMapSigned);
inline constexpr DynamicMap kDynamicUnsigned = make_dynamic_map(kDynamicMapUnsigned);

/* For has_codes(scale). */
MU_MATH uint8_t dynamic_encode(const DynamicMap& map, float x, float scale) {
  const float a = x / scale;
  uint32_t code = 0;
  for (uint32_t step = 128; step > 0; step /= 2) {
    code += map.threshold[code + step - 1] < a ? step : 0u;
  }
  return static_cast<uint8_t>(code);
}

/*
 * The code of a second moment of AdamW, from the nearest: what is positive does not become 0. The first moment of the same
 * element survives down to 5.5e-7 of its block's maximum, a gradient whose square is far below what v's map can tell from
 * 0; with v = 0 the next step without a gradient would divide it by eps alone.
 */
MU_MATH uint8_t second_moment_code(uint8_t nearest, float v) {
  return nearest == 0 && v > 0.0f ? uint8_t{1} : nearest;
}

/* What a code stands for is this times the scale. */
MU_MATH float dynamic_value(const DynamicMap& map, uint8_t code) {
  return map.value[code];
}

}  // namespace muonium

#endif
