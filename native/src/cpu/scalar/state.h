/*
 * state.h - the plain way to read and write optimizer state in each format: element by element with the formulas of
 * math/format.h. The oracle of the vector tiers.
 */
#ifndef MUONIUM_CPU_SCALAR_STATE_H
#define MUONIUM_CPU_SCALAR_STATE_H

#include "cpu/tier.h"
#include "math/format.h"

namespace muonium::cpu::MU_TIER {
namespace {

inline uint32_t absmax_bits(const float* x, int64_t count) {
  uint32_t absmax = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t magnitude = magnitude_bits(x[i]);
    absmax = magnitude > absmax ? magnitude : absmax;
  }
  return absmax;
}

/* Element i is stored(i) * scale(k), k its block. write() gets the count values x of block k, which begins at begin. */
struct F32State {
  float* values;

  float scale(int64_t) const { return 1.0f; }
  float stored(int64_t i) const { return values[i]; }

  void write(int64_t, int64_t begin, int64_t count, const float* x) const {
    for (int64_t i = 0; i < count; ++i) {
      values[begin + i] = x[i];
    }
  }
};

struct LinearState {
  int8_t* codes;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  float stored(int64_t i) const { return linear_value(codes[i]); }

  void write(int64_t k, int64_t begin, int64_t count, const float* x) const {
    const float scale = linear_scale(absmax_bits(x, count));
    scales[k] = scale;
    for (int64_t i = 0; i < count; ++i) {
      codes[begin + i] = has_codes(scale) ? linear_encode(x[i], scale) : int8_t{0};
    }
  }
};

struct DynamicState {
  const DynamicMap& map;
  uint8_t* codes;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  float stored(int64_t i) const { return dynamic_value(map, codes[i]); }

  void write(int64_t k, int64_t begin, int64_t count, const float* x) const {
    const float scale = dynamic_scale(absmax_bits(x, count));
    scales[k] = scale;
    for (int64_t i = 0; i < count; ++i) {
      codes[begin + i] = has_codes(scale) ? dynamic_encode(map, x[i], scale) : static_cast<uint8_t>(map.zero);
    }
  }
};

/* AdamW's v in INT8_DYNAMIC_UNSIGNED. */
struct SecondMomentState {
  uint8_t* codes;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  float stored(int64_t i) const { return dynamic_value(kDynamicUnsigned, codes[i]); }

  void write(int64_t k, int64_t begin, int64_t count, const float* v) const {
    const float scale = dynamic_scale(absmax_bits(v, count));
    scales[k] = scale;
    for (int64_t i = 0; i < count; ++i) {
      codes[begin + i] =
          has_codes(scale) ? second_moment_code(dynamic_encode(kDynamicUnsigned, v[i], scale), v[i]) : uint8_t{0};
    }
  }
};

template <class State>
void read(const State& state, int64_t k, int64_t begin, int64_t count, float* x) {
  for (int64_t i = 0; i < count; ++i) {
    x[i] = state.stored(begin + i) * state.scale(k);
  }
}

template <class Body>
mu_status for_state(mu_format format, void* codes, float* scales, const Body& body) {
  switch (format) {
    case MU_FORMAT_INT8_LINEAR:
      return body(LinearState{static_cast<int8_t*>(codes), scales});
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return body(DynamicState{kDynamicSigned, static_cast<uint8_t*>(codes), scales});
    case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
      return body(DynamicState{kDynamicUnsigned, static_cast<uint8_t*>(codes), scales});
    case MU_FORMAT_F32:
    case MU_FORMAT_FP8_E4M3: /* no format of optimizer state; quantize and dequantize take it apart before */
    case MU_FORMAT_FP8_E5M2:
      break;
  }
  return body(F32State{static_cast<float*>(codes)});
}

/* F32 or INT8_DYNAMIC_UNSIGNED. */
template <class Body>
mu_status for_second_moment(mu_format format, void* codes, float* scales, const Body& body) {
  if (format == MU_FORMAT_F32) {
    return body(F32State{static_cast<float*>(codes)});
  }
  return body(SecondMomentState{static_cast<uint8_t*>(codes), scales});
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
