/*
 * weights.h - weights on the device in all their forms: FP32; bf16 rounded to nearest or at random; bf16 beside an FP32
 * master. The index of an element in its parameter is what the generator is asked with.
 */
#ifndef MUONIUM_CUDA_WEIGHTS_H
#define MUONIUM_CUDA_WEIGHTS_H

#include "cuda/elements.h"
#include "math/rounding.h"

namespace muonium::cuda {

/* How a kernel's bf16 weights are rounded where there is no master. */
struct WeightRounding {
  mu_rounding key;
  bool at_random;
};

/* The weights of a span that begins at element `first` of the parameter; w and master stand at that element. */
template <class W>
struct Weights {
  W* w;
  float* master;
  int64_t first;
  WeightRounding rounding;

  MU_DEVICE bool has_master() const { return sizeof(W) == 2 && master != nullptr; }

  MU_DEVICE bf16 rounded(float x, RoundingKey low_key, int64_t element) const {
    const uint64_t index = static_cast<uint64_t>(element);
    const uint32_t high = static_cast<uint32_t>(index >> 32);
    const RoundingKey key = high == 0 ? low_key : rounding_key(rounding.key, high);
    return round_to_bf16_stochastically(x, rounding_bits(key, static_cast<uint32_t>(index)));
  }

  MU_DEVICE float read(int i) const { return has_master() ? master[i] : to_float(w[i]); }

  MU_DEVICE void write(int i, float x, RoundingKey low_key) const {
    if (has_master()) {
      master[i] = x;
    }
    if constexpr (sizeof(W) == 2) {
      if (rounding.at_random && master == nullptr) {
        w[i] = rounded(x, low_key, first + i);
        return;
      }
    }
    put(w + i, x);
  }

  /* The same for the eight elements of a lane, in pieces, the first at i. */
  template <int piece>
  MU_DEVICE bool is_fast() const {
    return is_aligned(w, Group<W, piece>::kAlignment) && (!has_master() || is_aligned(master, 16));
  }

  template <int piece>
  MU_DEVICE void read_group(int i, float (&x)[kPerLane]) const {
    if (has_master()) {
      Group<float, piece> group;
      group.load(master + i);
      group.widen(x);
    } else {
      Group<W, piece> group;
      group.load(w + i);
      group.widen(x);
    }
  }

  template <int piece>
  MU_DEVICE void write_group(int i, const float (&x)[kPerLane], RoundingKey low_key) const {
    if (has_master()) {
      Group<float, piece>::store(master + i, x);
    }
    if constexpr (sizeof(W) == 2) {
      if (rounding.at_random && master == nullptr) {
        uint32_t pairs[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int64_t element = first + i + (2 * j) / piece * kPieceStride<piece> + (2 * j) % piece;
          pairs[j] = static_cast<uint32_t>(rounded(x[2 * j], low_key, element).bits) |
                     (static_cast<uint32_t>(rounded(x[2 * j + 1], low_key, element + 1).bits) << 16);
        }
        Group<W, piece>::store_pairs(w + i, pairs);
        return;
      }
    }
    Group<W, piece>::store(w + i, x);
  }
};

}  // namespace muonium::cuda

#endif
