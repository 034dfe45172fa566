/*
 * state.h - optimizer state, read and written a vector at a time. A block is read as stored() * scale(), its fresh
 * values are collected in FP32 together with their absmax, and written back by begin_encode(), which makes the scale, and
 * encode(). Between these two a kernel can do something else, rather than wait for the maximum and the division.
 *
 * All of it works on whole groups of four vectors (64 elements, the least block). The short block at the end of an array
 * goes through a padded copy: see Padded.
 */
#ifndef MUONIUM_CPU_SIMD_STATE_H
#define MUONIUM_CPU_SIMD_STATE_H

#include "cpu/simd/simd.h"
#include "math/format.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Blocks are worked on in whole groups of four vectors: their codes fill one cache line. */
inline constexpr int64_t kQuad = 4 * kLanes;

struct F32State {
  using Element = float;
  static constexpr bool kQuantized = false;
  static constexpr Element kZero = 0.0f;
  float* elements;
  float* scales; /* unused: as if all were 1 */

  float scale(int64_t) const { return 1.0f; }
  F32x16 stored(int64_t at) const { return load(elements + at); }
};

struct LinearState {
  using Element = int8_t;
  static constexpr bool kQuantized = true;
  static constexpr Element kZero = 0;
  int8_t* elements;
  float* scales;

  float scale(int64_t k) const { return scales[k]; }
  F32x16 stored(int64_t at) const { return load_codes(elements + at); }

  /* What encode() multiplies or divides by. */
  struct Divisor {
    float scale;
    float reciprocal;
  };

  Divisor begin_encode(int64_t k, const Absmax& absmax) const {
    const uint32_t greatest = bits(absmax);
    const float scale = linear_scale(greatest);
    scales[k] = scale;
    return Divisor{scale, kLinearSteps / float_of_bits(greatest)};
  }

  void encode(int64_t at, int64_t count, const float* fresh, const Divisor& divisor) const {
    Doubts doubts;
    const F32x16 reciprocal(divisor.reciprocal);
    for (int64_t j = 0; j < count; j += kQuad) {
      const F32x16 x[4] = {load(fresh + j), load(fresh + j + kLanes), load(fresh + j + 2 * kLanes),
                           load(fresh + j + 3 * kLanes)};
      store_products(elements + at + j, x, reciprocal, doubts);
    }
    if (__builtin_expect(!(divisor.scale >= kLeastReciprocal) || any(doubts), 0)) {
      encode_by_division(at, count, fresh, divisor.scale);
    }
  }

 private:
  /* From here on 127 / absmax and the products with it stay far from overflow and underflow. */
  static constexpr float kLeastReciprocal = 0x1p-100f;

  /* Ten times as slow as multiplying; for blocks where that leaves a code in doubt. */
  [[gnu::noinline]] void encode_by_division(int64_t at, int64_t count, const float* values, float scale) const {
    if (!has_codes(scale)) {
      memset(elements + at, kZero, static_cast<size_t>(count));
      return;
    }
    const F32x16 divisor(scale);
    const auto quotient = [&](int64_t j) { return clamp(load(values + j) / divisor, -kLinearSteps, kLinearSteps); };
    for (int64_t j = 0; j < count; j += kQuad) {
      store_codes(elements + at + j, quotient(j), quotient(j + kLanes), quotient(j + 2 * kLanes),
                  quotient(j + 3 * kLanes));
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
  F32x16 stored(int64_t at) const { return look_up(map, elements + at); }

  using Divisor = float;

  Divisor begin_encode(int64_t k, const Absmax& absmax) const { return scales[k] = dynamic_scale(bits(absmax)); }

  void encode(int64_t at, int64_t count, const float* fresh, Divisor scale) const {
    if (!has_codes(scale)) {
      memset(elements + at, kZero, static_cast<size_t>(count));
      return;
    }
    const F32x16 divisor(scale);
    uint8_t* codes = elements + at;
    for (int64_t j = 0; j < count; j += kLanes) {
      store_nearest<map, table>(codes + j, load(fresh + j) / divisor);
    }
  }
};

using DynamicSignedState = DynamicState<kDynamicSigned, kNearestSigned>;
using DynamicUnsignedState = DynamicState<kDynamicUnsigned, kNearestUnsigned>;

/* AdamW's v: second_moment_code, lane by lane. */
struct SecondMomentState : DynamicUnsignedState {
  void encode(int64_t at, int64_t count, const float* fresh, Divisor scale) const {
    DynamicUnsignedState::encode(at, count, fresh, scale);
    if (has_codes(scale)) {
      for (int64_t j = 0; j < count; j += kLanes) {
        lift_positive(elements + at + j, load(fresh + j));
      }
    }
  }
};

/* A copy of `count` elements that is filled up to whole groups of vectors with elements that stand for 0. */
template <class T>
struct Padded {
  alignas(64) T elements[kMaxBlock];

  Padded(const T* source, int64_t count, T zero) {
    memcpy(elements, source, static_cast<size_t>(count) * sizeof(T));
    for (int64_t i = count; i < padded(count); ++i) {
      elements[i] = zero;
    }
  }

  static int64_t padded(int64_t count) { return (count + kQuad - 1) / kQuad * kQuad; }
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
