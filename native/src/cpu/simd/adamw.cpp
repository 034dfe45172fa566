/*
 * adamw.cpp - AdamW in one pass over weights, gradient and both states, a block at a time: what is not FP32 in memory is
 * widened into buffers that stay in the first-level cache, the step runs over floats, the states are encoded again.
 * In stages, so that the forms of weights, gradient, m and v add up in code size instead of multiplying.
 */
#include "cpu/choose.h"
#include "cpu/simd/state.h"
#include "cpu/simd/weights.h"
#include "math/optimizer.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Some elements of an array: block `block`, which begins at `at`. */
struct Span {
  int64_t block;
  int64_t at;
  int64_t count;
};

template <class State>
[[gnu::noinline]] void widen_state(const State& state, const Span& span, float* values) {
  const F32x16 scale(state.scale(span.block));
  const int64_t whole = span.count / kLanes * kLanes;
  for (int64_t j = 0; j < whole; j += kLanes) {
    store(values + j, state.stored(span.at + j) * scale);
  }
  if (whole < span.count) {
    PaddedState<State> rest(state, span.block, span.at + whole, span.count - whole);
    store_first(values + whole, rest.view().stored(0) * scale, span.count - whole);
  }
}

/* values has room for whole groups of vectors. */
template <class State>
[[gnu::noinline]] void narrow_state(const State& state, const Span& span, float* values) {
  const int64_t padded = Padded<float>::padded(span.count);
  Absmax absmax;
  for (int64_t j = span.count; j < padded; ++j) {
    values[j] = 0.0f;
  }
  for (int64_t j = 0; j < padded; j += kLanes) {
    include(absmax, load(values + j));
  }
  if (padded == span.count) {
    state.encode(span.at, span.count, values, state.begin_encode(span.block, absmax));
  } else {
    PaddedState<State> rest(state, span.block, span.at, span.count);
    const State view = rest.view();
    view.encode(0, padded, values, view.begin_encode(0, absmax));
    rest.copy_to(state, span.block, span.at, span.count);
  }
}

/* m or v in the format of a call. INT8_DYNAMIC_UNSIGNED is v's: m has a sign. */
class Moment final {
 public:
  Moment(mu_format format, void* elements, float* scales) : format_(format), elements_(elements), scales_(scales) {}

  /* The values of a span: where they are in memory when they are FP32, else widened into buffer_. */
  float* open(const Span& span) {
    switch (format_) {
      case MU_FORMAT_INT8_LINEAR:
        widen_state(LinearState{static_cast<int8_t*>(elements_), scales_}, span, buffer_);
        return buffer_;
      case MU_FORMAT_INT8_DYNAMIC_SIGNED:
        widen_state(DynamicSignedState{static_cast<uint8_t*>(elements_), scales_}, span, buffer_);
        return buffer_;
      case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
        widen_state(SecondMomentState{{static_cast<uint8_t*>(elements_), scales_}}, span, buffer_);
        return buffer_;
      default: /* MU_FORMAT_F32 */
        break;
    }
    return static_cast<float*>(elements_) + span.at;
  }

  /* Keeps what open() gave and the caller changed. */
  void close(const Span& span) {
    switch (format_) {
      case MU_FORMAT_INT8_LINEAR:
        return narrow_state(LinearState{static_cast<int8_t*>(elements_), scales_}, span, buffer_);
      case MU_FORMAT_INT8_DYNAMIC_SIGNED:
        return narrow_state(DynamicSignedState{static_cast<uint8_t*>(elements_), scales_}, span, buffer_);
      case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
        return narrow_state(SecondMomentState{{static_cast<uint8_t*>(elements_), scales_}}, span, buffer_);
      default: /* MU_FORMAT_F32 */
        break;
    }
  }

 private:
  mu_format format_;
  void* elements_;
  float* scales_;
  alignas(64) float buffer_[kMaxBlock];
};

/* The gradient of a span, widened into buffer when it is bf16. */
const float* open_gradient(const void* gradient, mu_type type, const Span& span, float* buffer) {
  if (type == MU_F32) {
    return static_cast<const float*>(gradient) + span.at;
  }
  const bf16* source = static_cast<const bf16*>(gradient) + span.at;
  const int64_t whole = span.count / kLanes * kLanes;
  for (int64_t j = 0; j < whole; j += kLanes) {
    store(buffer + j, load(source + j));
  }
  if (whole < span.count) {
    store(buffer + whole, load_first(source + whole, span.count - whole));
  }
  return buffer;
}

template <class Weights>
MU_MATH void adamw_span(const AdamwConstants& constants, const Weights& weights, const Span& span,
                        const float* gradient, float* m, float* v) {
  const int64_t whole = span.count / kLanes * kLanes;
  for (int64_t j = 0; j < whole; j += kLanes) {
    const int64_t at = span.at + j;
    const auto step =
        adamw_step(constants, weights.read(at, at, kLanes), load(gradient + j), load(m + j), load(v + j));
    weights.write(at, at, step.weight, kLanes);
    store(m + j, step.m);
    store(v + j, step.v);
  }
  if (whole < span.count) {
    const int64_t at = span.at + whole;
    const int64_t left = span.count - whole;
    const auto step = adamw_step(constants, weights.read(at, at, left), load_first(gradient + whole, left),
                                 load_first(m + whole, left), load_first(v + whole, left));
    weights.write(at, at, step.weight, left);
    store_first(m + whole, step.m, left);
    store_first(v + whole, step.v, left);
  }
}

}  // namespace

mu_status adamw(const mu_context*, const mu_adamw_params* params, int64_t block, void* w, mu_type w_type,
                float* master, const void* gradient, mu_type gradient_type, mu_format m_format, void* m,
                float* m_scales, mu_format v_format, void* v, float* v_scales, const mu_rounding* rounding,
                int64_t begin, int64_t end) {
  const AdamwConstants constants = adamw_constants(*params);
  Moment first(m_format, m, m_scales);
  Moment second(v_format, v, v_scales);
  alignas(64) float wide_gradient[kMaxBlock];
  return for_weights(w, w_type, master, rounding, [&](const auto& weights) {
    for (int64_t i = begin; i < end; i += block) {
      const Span span{i / block, i, end - i < block ? end - i : block};
      const float* g = open_gradient(gradient, gradient_type, span, wide_gradient);
      adamw_span(constants, weights, span, g, first.open(span), second.open(span));
      first.close(span);
      second.close(span);
    }
    return MU_OK;
  });
}

}  // namespace muonium::cpu::MU_TIER
