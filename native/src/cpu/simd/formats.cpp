/* formats.cpp - quantize and dequantize. */
#include "cpu/choose.h"
#include "cpu/common/fp8.h"
#include "cpu/simd/state.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* The FP32 values of a block: x itself, or x widened into room. Whole groups of vectors. */
MU_MATH const float* take(const float* x, int64_t count, float*, Absmax& absmax) {
  for (int64_t j = 0; j < count; j += kLanes) {
    include(absmax, load(x + j));
  }
  return x;
}
MU_MATH const float* take(const bf16* x, int64_t count, float* room, Absmax& absmax) {
  for (int64_t j = 0; j < count; j += kLanes) {
    const F32x16 value = load(x + j);
    include(absmax, value);
    store(room + j, value);
  }
  return room;
}

template <class State, class T>
MU_MATH void quantize_block(const State& state, int64_t k, int64_t at, int64_t count, const T* x) {
  alignas(64) float room[kMaxBlock];
  Absmax absmax;
  const float* values = take(x, count, room, absmax);
  state.encode(at, count, values, state.begin_encode(k, absmax));
}

template <class State, class T>
MU_MATH void dequantize_block(const State& state, int64_t k, int64_t at, int64_t count, T* out) {
  const F32x16 scale(state.scale(k));
  for (int64_t j = 0; j < count; j += kQuad) {
    F32x16 values[4];
    for (int64_t i = 0; i < 4; ++i) {
      values[i] = state.stored(at + j + i * kLanes) * scale;
    }
    store_quad<false>(out + j, values, false);
  }
}

/* Calls body with the state of a block format. */
template <class Body>
mu_status for_block_state(mu_format format, void* codes, float* scales, const Body& body) {
  switch (format) {
    case MU_FORMAT_INT8_DYNAMIC_SIGNED:
      return body(DynamicSignedState{static_cast<uint8_t*>(codes), scales});
    case MU_FORMAT_INT8_DYNAMIC_UNSIGNED:
      return body(DynamicUnsignedState{static_cast<uint8_t*>(codes), scales});
    default:
      return body(LinearState{static_cast<int8_t*>(codes), scales});
  }
}

}  // namespace

mu_status quantize(const mu_context*, mu_format format, int64_t block, const void* x, mu_type x_type, void* codes,
                   float* scales, int64_t begin, int64_t end) {
  if (is_fp8(format)) {
    return quantize_fp8(format, block, x, x_type, codes, scales, begin, end);
  }
  return for_block_state(format, codes, scales, [&]<class State>(const State& state) {
    return for_type(x_type, [&]<class T>(T) {
      const T* source = static_cast<const T*>(x);
      const int64_t whole = begin + (end - begin) / block * block;
      for (int64_t i = begin; i < whole; i += block) {
        quantize_block(state, i / block, i, block, source + i);
      }
      if (whole < end) {
        const int64_t count = end - whole;
        const Padded<T> padded(source + whole, count, T{});
        PaddedState<State> padded_state(state, whole / block, whole, count);
        quantize_block(padded_state.view(), 0, 0, padded.padded(count), padded.elements);
        padded_state.copy_to(state, whole / block, whole, count);
      }
      return MU_OK;
    });
  });
}

mu_status dequantize(const mu_context*, mu_format format, int64_t block, const void* codes, const float* scales,
                     void* out, mu_type out_type, int64_t begin, int64_t end) {
  if (is_fp8(format)) {
    return dequantize_fp8(format, block, codes, scales, out, out_type, begin, end);
  }
  /* Only stored() and scale() are called. */
  return for_block_state(format, const_cast<void*>(codes), const_cast<float*>(scales),
                         [&]<class State>(const State& state) {
    return for_type(out_type, [&]<class T>(T) {
      T* target = static_cast<T*>(out);
      const int64_t whole = begin + (end - begin) / block * block;
      for (int64_t i = begin; i < whole; i += block) {
        dequantize_block(state, i / block, i, block, target + i);
      }
      if (whole < end) {
        const int64_t count = end - whole;
        PaddedState<State> padded_state(state, whole / block, whole, count);
        Padded<T> padded(target, 0, T{});
        dequantize_block(padded_state.view(), 0, 0, padded.padded(count), padded.elements);
        padded.copy_to(target + whole, count);
      }
      return MU_OK;
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
