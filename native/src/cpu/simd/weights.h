/*
 * weights.h - the forms that weights come in: FP32; bf16 rounded to nearest; bf16 rounded at random; bf16 beside an
 * FP32 master. `at` is where a weight stands in w; `element` is its index in the parameter: where it stands in the
 * master, and what the generator is asked with.
 */
#ifndef MUONIUM_CPU_SIMD_WEIGHTS_H
#define MUONIUM_CPU_SIMD_WEIGHTS_H

#include "cpu/simd/simd.h"
#include "math/rounding.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* FP32, and bf16 to nearest. */
template <class T>
struct PlainWeights {
  T* w;

  F32x16 read(int64_t at, int64_t, int64_t count) const {
    return count == kLanes ? load(w + at) : load_first(w + at, count);
  }
  void write(int64_t at, int64_t, F32x16 value, int64_t count) const {
    if (count == kLanes) {
      store(w + at, value);
    } else {
      store_first(w + at, value, count);
    }
  }
};

struct MasterWeights {
  bf16* w;
  float* master;

  F32x16 read(int64_t, int64_t element, int64_t count) const {
    return PlainWeights<float>{master}.read(element, element, count);
  }
  void write(int64_t at, int64_t element, F32x16 value, int64_t count) const {
    PlainWeights<float>{master}.write(element, element, value, count);
    PlainWeights<bf16>{w}.write(at, element, value, count);
  }
};

/* rounding_bits(key, first), rounding_bits(key, first + 1), ... */
MU_MATH U32x16 rounding_bits_from(RoundingKey key, uint32_t first) {
  U32x16 x = counting_from(first) ^ U32x16(key.before);
  x = x ^ (x >> 16);
  x = x * U32x16(0x85ebca6bu);
  x = x ^ (x >> 13);
  x = x + U32x16(key.between);
  x = x * U32x16(0xc2b2ae35u);
  return x ^ (x >> 16);
}

struct RandomWeights {
  bf16* w;
  const mu_rounding& rounding;
  RoundingKey low_key; /* of the first 2^32 elements: all of them, nearly always */

  F32x16 read(int64_t at, int64_t element, int64_t count) const {
    return PlainWeights<bf16>{w}.read(at, element, count);
  }
  void write(int64_t at, int64_t element, F32x16 value, int64_t count) const {
    const uint64_t last = static_cast<uint64_t>(element + count - 1);
    if (__builtin_expect((last >> 32) != 0, 0)) {
      write_far(at, element, value, count);
      return;
    }
    const U32x16 random = rounding_bits_from(low_key, static_cast<uint32_t>(element));
    if (count == kLanes) {
      store_stochastically(w + at, value, random);
    } else {
      store_first_stochastically(w + at, value, random, count);
    }
  }

 private:
  /* Beyond 2^32 elements, or across that border. */
  [[gnu::noinline]] void write_far(int64_t at, int64_t element, F32x16 value, int64_t count) const {
    float values[kLanes];
    store(values, value);
    for (int64_t j = 0; j < count; ++j) {
      const uint64_t index = static_cast<uint64_t>(element + j);
      const RoundingKey key = rounding_key(rounding, static_cast<uint32_t>(index >> 32));
      w[at + j] = round_to_bf16_stochastically(values[j], rounding_bits(key, static_cast<uint32_t>(index)));
    }
  }
};

/* Calls body with the weights in the form that the arguments say. */
template <class Body>
mu_status for_weights(void* w, mu_type type, float* master, const mu_rounding* rounding, const Body& body) {
  if (type == MU_F32) {
    return body(PlainWeights<float>{static_cast<float*>(w)});
  }
  bf16* half = static_cast<bf16*>(w);
  if (master != nullptr) {
    return body(MasterWeights{half, master});
  }
  if (rounding != nullptr) {
    return body(RandomWeights{half, *rounding, rounding_key(*rounding, 0)});
  }
  return body(PlainWeights<bf16>{half});
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
