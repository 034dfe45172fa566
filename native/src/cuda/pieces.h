/*
 * pieces.h - consecutive elements of an array that a thread reads and writes at once: 16 bytes of them (4 floats, 8 bf16) where
 * addresses allow it, single elements where they do not. Arithmetic is in FP32, whatever is stored.
 */
#ifndef MUONIUM_CUDA_PIECES_H
#define MUONIUM_CUDA_PIECES_H

#include "cuda/device.h"
#include "cuda/mma.h"
#include "math/bf16.h"

namespace muonium::cuda {

/* Elements of a piece of 16 bytes. */
template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

/* n elements as they are in memory: loaded early, widened when they are needed. p is aligned to min(16, n * sizeof(T)). */
template <class T, int n>
struct Piece;

template <class T>
struct Piece<T, 1> {
  T element;

  MU_DEVICE void load(const T* p) { element = *p; }
  MU_DEVICE void clear() { element = T{}; }
  MU_DEVICE void widen(float (&x)[1]) const { x[0] = to_float(element); }
};

template <>
struct Piece<float, 4> {
  uint4 words;

  MU_DEVICE void load(const float* p) { words = load16(p); }
  MU_DEVICE void clear() { words = make_uint4(0, 0, 0, 0); }
  MU_DEVICE void widen(float (&x)[4]) const {
    x[0] = float_of_bits(words.x);
    x[1] = float_of_bits(words.y);
    x[2] = float_of_bits(words.z);
    x[3] = float_of_bits(words.w);
  }
};

template <>
struct Piece<float, 8> {
  Piece<float, 4> halves[2];

  MU_DEVICE void load(const float* p) {
    halves[0].load(p);
    halves[1].load(p + 4);
  }
  MU_DEVICE void clear() {
    halves[0].clear();
    halves[1].clear();
  }
  MU_DEVICE void widen(float (&x)[8]) const {
    float low[4];
    float high[4];
    halves[0].widen(low);
    halves[1].widen(high);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[i] = low[i];
      x[4 + i] = high[i];
    }
  }
};

template <>
struct Piece<bf16, 8> {
  uint4 words;

  MU_DEVICE void load(const bf16* p) { words = load16(p); }
  MU_DEVICE void clear() { words = make_uint4(0, 0, 0, 0); }
  MU_DEVICE void widen(float (&x)[8]) const {
    const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[2 * i] = float_of_bits(pairs[i] << 16);
      x[2 * i + 1] = float_of_bits(pairs[i] & 0xffff0000u);
    }
  }
};

MU_DEVICE void store_piece(float* p, const float (&x)[1]) {
  *p = x[0];
}

MU_DEVICE void store_piece(bf16* p, const float (&x)[1]) {
  *p = round_to_bf16(x[0]);
}

MU_DEVICE void store_piece(float* p, const float (&x)[4]) {
  store16(p, make_uint4(float_bits(x[0]), float_bits(x[1]), float_bits(x[2]), float_bits(x[3])));
}

MU_DEVICE void store_piece(float* p, const float (&x)[8]) {
  store16(p, make_uint4(float_bits(x[0]), float_bits(x[1]), float_bits(x[2]), float_bits(x[3])));
  store16(p + 4, make_uint4(float_bits(x[4]), float_bits(x[5]), float_bits(x[6]), float_bits(x[7])));
}

MU_DEVICE void store_piece(bf16* p, const float (&x)[8]) {
  store16(p, make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7])));
}

template <class T, int n>
MU_DEVICE void load_piece(const T* p, float (&x)[n]) {
  Piece<T, n> piece;
  piece.load(p);
  piece.widen(x);
}

inline bool aligned16(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

/* --- sums and maxima over a warp, in every lane: lanes are combined in pairs 16, 8, 4, 2 and 1 apart --------------------- */

MU_DEVICE float warp_sum(float x) {
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) {
    x += shuffle_xor(x, apart);
  }
  return x;
}

/* NaN is passed over, as by fmaxf. */
MU_DEVICE float warp_max(float x) {
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) {
    x = fmaxf(x, shuffle_xor(x, apart));
  }
  return x;
}

/* Over groups of `lanes` neighbouring lanes, a power of two. */
MU_DEVICE float group_sum(float x, int lanes) {
  for (int apart = lanes / 2; apart > 0; apart /= 2) {
    x += shuffle_xor(x, apart);
  }
  return x;
}

/* --- numbers of work ---------------------------------------------------------------------------------------------- */

/* a / b of numbers that are not negative; in 32 bits where that is possible, for 64 cost five times as much. */
MU_DEVICE int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 31) == 0) {
    return static_cast<int64_t>(static_cast<uint32_t>(a) / static_cast<uint32_t>(b));
  }
  return a / b;
}

/* As many blocks as `items` need of `per_block` each, within what a grid can have; kernels stride over the rest. */
inline dim3 blocks_for(int64_t items, int64_t per_block) {
  constexpr int64_t most = 0x7fffffff;
  const int64_t blocks = (items + per_block - 1) / per_block;
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}

/* Work in units of a block's threads, from this block's on. */
MU_DEVICE int64_t first_item(int per_block) {
  return static_cast<int64_t>(blockIdx.x) * per_block;
}

MU_DEVICE int64_t item_stride(int per_block) {
  return static_cast<int64_t>(gridDim.x) * per_block;
}

}  // namespace muonium::cuda

#endif
