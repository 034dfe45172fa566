/* adamw.cpp - AdamW in one pass over weights, gradient and both states. */
#include "cpu/choose.h"
#include "cpu/simd/state.h"
#include "cpu/simd/weights.h"
#include "math/optimizer.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* The elements of one block that the vectors of a whole block stand for. */
struct Span {
  int64_t block;   /* its number */
  int64_t element; /* the index of its first element */
  int64_t count;   /* elements: the short block at the end has fewer than `padded` */
  int64_t padded;  /* whole pairs of vectors */
};

/* The fresh values of one moment, on their way to being encoded. */
template <class State>
struct FreshMoment {
  alignas(64) float values[State::kQuantized ? kMaxBlock : 16];
  Absmax absmax;

  void put(const State& state, int64_t at, int64_t j, F32x16 x) {
    if constexpr (State::kQuantized) {
      include(absmax, x);
      store(values + j, x);
    } else {
      store(state.elements + at + j, x);
    }
  }
  void encode(const State& state, int64_t k, int64_t at, int64_t count) const {
    if constexpr (State::kQuantized) {
      state.encode(k, at, count, values, absmax);
    }
  }
};

/* m and v are read and written at [at, at + padded) of their states, where block k begins. */
template <class Weights, class G, class M, class V>
MU_MATH void adamw_block(const AdamwConstants& constants, const Span& span, const Weights& weights, const G* gradient,
                         const M& m, const V& v, int64_t k, int64_t at) {
  FreshMoment<M> fresh_m;
  FreshMoment<V> fresh_v;
  const F32x16 m_scale(m.scale(k));
  const F32x16 v_scale(v.scale(k));
  for (int64_t j = 0; j < span.padded; j += kLanes) {
    const int64_t left = span.count - j;
    const int64_t count = left < kLanes ? (left > 0 ? left : 0) : kLanes;
    const int64_t element = span.element + j;
    const F32x16 g = count == kLanes ? load(gradient + j) : load_first(gradient + j, count);
    const auto step = adamw_step(constants, weights.read(element, element, count), g, m.decode(at + j, m_scale),
                                 v.decode(at + j, v_scale));
    weights.write(element, element, step.weight, count);
    fresh_m.put(m, at, j, step.m);
    fresh_v.put(v, at, j, step.v);
  }
  fresh_m.encode(m, k, at, span.padded);
  fresh_v.encode(v, k, at, span.padded);
}

template <class Weights, class G, class M, class V>
[[gnu::noinline]] void short_block(const AdamwConstants& constants, const Span& span, const Weights& weights,
                                   const G* gradient, const M& m, const V& v) {
  PaddedState<M> padded_m(m, span.block, span.element, span.count);
  PaddedState<V> padded_v(v, span.block, span.element, span.count);
  adamw_block(constants, span, weights, gradient, padded_m.view(), padded_v.view(), 0, 0);
  padded_m.copy_to(m, span.block, span.element, span.count);
  padded_v.copy_to(v, span.block, span.element, span.count);
}

template <class Weights, class G, class M, class V>
void adamw_range(const AdamwConstants& constants, const Weights& weights, const G* gradient, const M& m, const V& v,
                 int64_t block, int64_t begin, int64_t end) {
  const int64_t whole = begin + (end - begin) / block * block;
  for (int64_t i = begin; i < whole; i += block) {
    const Span span{i / block, i, block, block};
    adamw_block(constants, span, weights, gradient + i, m, v, span.block, i);
  }
  if (whole < end) {
    const int64_t count = end - whole;
    const Span span{whole / block, whole, count, Padded<float>::padded(count)};
    short_block(constants, span, weights, gradient + whole, m, v);
  }
}

/* m and v have the formats that the ABI lets through. */
template <class Body>
mu_status for_first_moment(mu_format format, void* m, float* scales, const Body& body) {
  if (format == MU_FORMAT_INT8_LINEAR) {
    return body(LinearState{static_cast<int8_t*>(m), scales});
  }
  if (format == MU_FORMAT_INT8_DYNAMIC_SIGNED) {
    return body(DynamicSignedState{static_cast<uint8_t*>(m), scales});
  }
  return body(F32State{static_cast<float*>(m), nullptr});
}

template <class Body>
mu_status for_second_moment(mu_format format, void* v, float* scales, const Body& body) {
  if (format == MU_FORMAT_INT8_DYNAMIC_UNSIGNED) {
    return body(DynamicUnsignedState{static_cast<uint8_t*>(v), scales});
  }
  return body(F32State{static_cast<float*>(v), nullptr});
}

}  // namespace

mu_status adamw(const mu_context*, const mu_adamw_params* params, int64_t block, void* w, mu_type w_type,
                float* master, const void* gradient, mu_type gradient_type, mu_format m_format, void* m,
                float* m_scales, mu_format v_format, void* v, float* v_scales, const mu_rounding* rounding,
                int64_t begin, int64_t end) {
  const AdamwConstants constants = adamw_constants(*params);
  return for_first_moment(m_format, m, m_scales, [&](const auto& m_state) {
    return for_second_moment(v_format, v, v_scales, [&](const auto& v_state) {
      return for_weights(w, w_type, master, rounding, [&](const auto& weights) {
        return for_type(gradient_type, [&]<class G>(G) {
          adamw_range(constants, weights, static_cast<const G*>(gradient), m_state, v_state, block, begin, end);
          return MU_OK;
        });
      });
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
