/*
 * state.h - optimizer state, read and written a vector at a time. A block is read with decode(), its fresh values are
 * collected in FP32 together with their absmax, and encode() writes them back.
 *
 * All of it works on whole pairs of vectors (32 elements; a block has 64 or more). The short block at the end of an
 * array goes through a padded copy: see Padded.
 */
#ifndef MUONIUM_CPU_SIMD_STATE_H
#define MUONIUM_CPU_SIMD_STATE_H

#include "cpu/simd/simd.h"
#include "math/format.h"

namespace muonium::cpu::MU_TIER {
namespace {

inline constexpr int64_t kPair = 2 * kLanes;

struct F32State {
  using Element = float;
  static constexpr bool kQuantized = false;
  static constexpr Element kZero = 0.0f;
  float* elements;
  float* scales; /* unused */

  float scale(int64_t) const { return 1.0f; }
  F32x16 decode(int64_t at, F32x16) const { return load(elements + at); }
};

struct LinearState {
  using Element = int8_t;
  static constexpr bool kQuantized = true;
  static constexpr Element kZero = 0;
  int8_t* elements;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  F32x16 decode(int64_t at, F32x16 scale) const { return load_codes(elements + at) * scale; }

  void encode(int64_t k, int64_t at, int64_t count, const float* fresh, const Absmax& absmax) const {
    const float scale = linear_scale(bits(absmax));
    scales[k] = scale;
    if (!has_codes(scale)) {
      memset(elements + at, kZero, static_cast<size_t>(count));
      return;
    }
    for (int64_t j = 0; j < count; j += 2 * kPair) {
      const int64_t part = count - j < 2 * kPair ? count - j : 2 * kPair;
      if (scale < kLeastReciprocal || !encode_by_reciprocal(at + j, part, fresh + j, 1.0f / scale)) {
        encode_by_division(at + j, part, fresh + j, scale);
      }
    }
  }

 private:
  /* 1 / scale and the products with it stay far from overflow and underflow. */
  static constexpr float kLeastReciprocal = 0x1p-100f;
  /*
   * x * (1 / scale) is within 127 * (3 / 2^24) < 2^-15 of the rounded x / scale. So where it is further than that from
   * the middle of two integers, both round to the same code; division, ten times as slow, is for the rest.
   */
  static constexpr float kSurelyRounded = 0.5f - 0x1p-15f;

  bool encode_by_reciprocal(int64_t at, int64_t count, const float* fresh, float reciprocal) const {
    bool doubtful = false;
    for (int64_t j = 0; j < count; j += kLanes) {
      const F32x16 q = load(fresh + j) * F32x16(reciprocal);
      doubtful |= any_between_integers(q, kSurelyRounded);
      store_codes(elements + at + j, q);
    }
    return !doubtful;
  }

  [[gnu::noinline]] void encode_by_division(int64_t at, int64_t count, const float* fresh, float scale) const {
    for (int64_t j = 0; j < count; j += kLanes) {
      store_codes(elements + at + j, clamp(load(fresh + j) / F32x16(scale), -kLinearSteps, kLinearSteps));
    }
  }
};

template <const DynamicMap& map, const NearestTable& table>
struct DynamicState {
  using Element = uint8_t;
  static constexpr bool kQuantized = true;
  static constexpr Element kZero = static_cast<Element>(map.zero);
  uint8_t* elements;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  F32x16 decode(int64_t at, F32x16 scale) const { return look_up(map, elements + at) * scale; }

  void encode(int64_t k, int64_t at, int64_t count, const float* fresh, const Absmax& absmax) const {
    const float scale = dynamic_scale(bits(absmax));
    scales[k] = scale;
    if (!has_codes(scale)) {
      memset(elements + at, kZero, static_cast<size_t>(count));
      return;
    }
    for (int64_t j = 0; j < count; j += kLanes) {
      store_nearest<map, table>(elements + at + j, load(fresh + j) / F32x16(scale));
    }
  }
};

using DynamicSignedState = DynamicState<kDynamicSigned, kNearestSigned>;
using DynamicUnsignedState = DynamicState<kDynamicUnsigned, kNearestUnsigned>;

/* Calls body with the state of the format. */
template <class Body>
mu_status for_state(mu_format format, void* elements, float* scales, const Body& body) {
  switch (format) {
    case MU_FORMAT_INT8_LINEAR:
      return body(LinearState{static_cast<int8_t*>(elements), scales});
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return body(DynamicSignedState{static_cast<uint8_t*>(elements), scales});
    case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
      return body(DynamicUnsignedState{static_cast<uint8_t*>(elements), scales});
    case MU_FORMAT_F32:
      break;
  }
  return body(F32State{static_cast<float*>(elements), nullptr});
}

/* A copy of `count` elements that is filled up to whole pairs of vectors with elements that stand for 0. */
template <class T>
struct Padded {
  alignas(64) T elements[kMaxBlock];

  Padded(const T* source, int64_t count, T zero) {
    memcpy(elements, source, static_cast<size_t>(count) * sizeof(T));
    for (int64_t i = count; i < padded(count); ++i) {
      elements[i] = zero;
    }
  }

  static int64_t padded(int64_t count) { return (count + kPair - 1) / kPair * kPair; }
  void copy_to(T* target, int64_t count) const { memcpy(target, elements, static_cast<size_t>(count) * sizeof(T)); }
};

/* The state of one short block, padded; written back by the caller. */
template <class State>
struct PaddedState {
  Padded<typename State::Element> elements;
  float scale;

  PaddedState(const State& state, int64_t k, int64_t at, int64_t count)
      : elements(state.elements + at, count, State::kZero), scale(state.scale(k)) {}

  State view() { return State{elements.elements, &scale}; }

  void copy_to(const State& state, int64_t k, int64_t at, int64_t count) const {
    elements.copy_to(state.elements + at, count);
    if constexpr (State::kQuantized) {
      state.scales[k] = scale;
    }
  }
};

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
