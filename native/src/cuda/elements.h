/*
 * elements.h - how a warp holds 256 consecutive elements of an array, two blocks of 128: eight per lane, of 16 lanes per
 * block. Accesses are as wide as they can be while neighbouring lanes touch neighbouring bytes: pieces of four floats, or of eight
 * bf16 where all arrays of a kernel are bf16. All of a kernel's arrays are held in the same pieces.
 *
 *   piece = 8:  lane l of a block holds the elements 8l ... 8l + 7
 *   piece = 4:  lane l of a block holds the elements 4l ... 4l + 3 and 64 + 4l ... 64 + 4l + 3
 */
#ifndef MUONIUM_CUDA_ELEMENTS_H
#define MUONIUM_CUDA_ELEMENTS_H

#include "cuda/device.h"
#include "cuda/mma.h"
#include "math/bf16.h"

namespace muonium::cuda {

inline constexpr int kPerLane = 8;
inline constexpr int kLanesPerBlock = 16;
/* The block that has a way of its own; all others take the general one. */
inline constexpr int kFastBlock = kPerLane * kLanesPerBlock;
inline constexpr int kUnit = kWarp * kPerLane;

/* Where in a unit this lane's first element stands. */
template <int piece>
MU_DEVICE int lane_offset() {
  const unsigned lane = lane_index();
  return static_cast<int>(lane / kLanesPerBlock) * kFastBlock + static_cast<int>(lane % kLanesPerBlock) * piece;
}

/* From one piece of a lane to its next. */
template <int piece>
inline constexpr int kPieceStride = piece == 4 ? kFastBlock / 2 : piece;

/* Whether accesses of `bytes` bytes are allowed at p. */
MU_DEVICE bool is_aligned(const void* p, unsigned bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

/*
 * Rounds both to nearest even, lo into the lower half: one instruction. That makes 0x7fff of every NaN, where round_to_bf16
 * keeps the payload, so a NaN goes the long way.
 */
MU_DEVICE uint32_t round_pair(float lo, float hi) {
  if (lo != lo || hi != hi) {
    return static_cast<uint32_t>(round_to_bf16(lo).bits) | (static_cast<uint32_t>(round_to_bf16(hi).bits) << 16);
  }
  return pack_bf16(lo, hi);
}

MU_DEVICE void widen_pair(uint32_t pair, float& lo, float& hi) {
  lo = float_of_bits(pair << 16);
  hi = float_of_bits(pair & 0xffff0000u);
}

/* The eight elements of a lane, as they are in memory: loaded early, widened when they are needed. */
template <class T, int piece>
struct Group;

template <int piece>
struct Group<float, piece> {
  static constexpr unsigned kAlignment = 16;
  uint4 words[2];

  MU_DEVICE void load(const float* p) {
    words[0] = load16_streaming(p);
    words[1] = load16_streaming(p + kPieceStride<4> * (piece == 4) + 4 * (piece == 8));
  }

  MU_DEVICE void widen(float (&x)[kPerLane]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      x[4 * i] = float_of_bits(words[i].x);
      x[4 * i + 1] = float_of_bits(words[i].y);
      x[4 * i + 2] = float_of_bits(words[i].z);
      x[4 * i + 3] = float_of_bits(words[i].w);
    }
  }

  MU_DEVICE static void store(float* p, const float (&x)[kPerLane]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      store16(p + (piece == 4 ? kPieceStride<4> : 4) * i,
              make_uint4(float_bits(x[4 * i]), float_bits(x[4 * i + 1]), float_bits(x[4 * i + 2]),
                         float_bits(x[4 * i + 3])));
    }
  }
};

template <>
struct Group<bf16, 8> {
  static constexpr unsigned kAlignment = 16;
  uint4 words;

  MU_DEVICE void load(const bf16* p) { words = load16_streaming(p); }

  MU_DEVICE void widen(float (&x)[kPerLane]) const {
    widen_pair(words.x, x[0], x[1]);
    widen_pair(words.y, x[2], x[3]);
    widen_pair(words.z, x[4], x[5]);
    widen_pair(words.w, x[6], x[7]);
  }

  /* Four pairs that are rounded already. */
  MU_DEVICE static void store_pairs(bf16* p, const uint32_t (&pairs)[4]) {
    store16(p, make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
  }

  MU_DEVICE static void store(bf16* p, const float (&x)[kPerLane]) {
    const uint32_t pairs[4] = {round_pair(x[0], x[1]), round_pair(x[2], x[3]), round_pair(x[4], x[5]),
                               round_pair(x[6], x[7])};
    store_pairs(p, pairs);
  }
};

template <>
struct Group<bf16, 4> {
  static constexpr unsigned kAlignment = 8;
  uint2 words[2];

  MU_DEVICE void load(const bf16* p) {
    words[0] = __ldcs(reinterpret_cast<const uint2*>(p));
    words[1] = __ldcs(reinterpret_cast<const uint2*>(p + kPieceStride<4>));
  }

  MU_DEVICE void widen(float (&x)[kPerLane]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      widen_pair(words[i].x, x[4 * i], x[4 * i + 1]);
      widen_pair(words[i].y, x[4 * i + 2], x[4 * i + 3]);
    }
  }

  MU_DEVICE static void store_pairs(bf16* p, const uint32_t (&pairs)[4]) {
    *reinterpret_cast<uint2*>(p) = make_uint2(pairs[0], pairs[1]);
    *reinterpret_cast<uint2*>(p + kPieceStride<4>) = make_uint2(pairs[2], pairs[3]);
  }

  MU_DEVICE static void store(bf16* p, const float (&x)[kPerLane]) {
    const uint32_t pairs[4] = {round_pair(x[0], x[1]), round_pair(x[2], x[3]), round_pair(x[4], x[5]),
                               round_pair(x[6], x[7])};
    store_pairs(p, pairs);
  }
};

/* The codes of the same elements, a byte each: words[0] has those of the first four. */
template <int piece>
struct CodeGroup;

template <>
struct CodeGroup<8> {
  static constexpr unsigned kAlignment = 8;
  uint32_t words[2];

  MU_DEVICE void load(const void* p) {
    const uint2 both = __ldcs(static_cast<const uint2*>(p));
    words[0] = both.x;
    words[1] = both.y;
  }

  MU_DEVICE void store(void* p) const { __stcs(static_cast<uint2*>(p), make_uint2(words[0], words[1])); }
};

template <>
struct CodeGroup<4> {
  static constexpr unsigned kAlignment = 4;
  uint32_t words[2];

  MU_DEVICE void load(const void* p) {
    words[0] = __ldcs(static_cast<const unsigned*>(p));
    words[1] = __ldcs(static_cast<const unsigned*>(p) + kPieceStride<4> / 4);
  }

  MU_DEVICE void store(void* p) const {
    __stcs(static_cast<unsigned*>(p), words[0]);
    __stcs(static_cast<unsigned*>(p) + kPieceStride<4> / 4, words[1]);
  }
};

MU_DEVICE void put(float* p, float x) {
  *p = x;
}

MU_DEVICE void put(bf16* p, float x) {
  *p = round_to_bf16(x);
}

/* The widest pieces that all arrays of these types can be held in. */
template <class A, class B>
inline constexpr int kPiece = sizeof(A) == 2 && sizeof(B) == 2 ? 8 : 4;

}  // namespace muonium::cuda

#endif
