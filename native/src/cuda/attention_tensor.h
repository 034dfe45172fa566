/*
 * attention_tensor.h - attention in bf16 on tensor cores, in the manner of FlashAttention-2: no array of positions x positions exists,
 * softmax and sums are in FP32, only probabilities and their gradients are rounded to bf16 between two products. Every element
 * of an output is written by one thread after sums in a fixed order: no atomic additions.
 *
 *   forward   64 queries per block, 16 per warp, which stay in registers; tiles of 64 keys and values in shared memory. Values come
 *             while scores are formed, the next keys while those are used.
 *   dq        64 queries per block; q and d_o stay in registers; tiles of 32 keys and values, the next under way.
 *   dk, dv    64 keys per block, 16 per warp; k and v stay in shared memory, tiles of 32 queries of each head of the group pass by.
 *             Scores are formed transposed, so that probabilities are where the next product wants them.
 *
 * D is the head's dimension, filled up with zeros to 32, 64, 80, 96 or 128. Shared memory for D = 128: 34, 34 and 69 KiB. Per pair of
 * query and visible key: 4 D multiplications and additions forward, 14 D backward (of which dq forms 4 D a second time), all on
 * tensor cores; bytes are few beside that. Expected limits: the rate of mma.sync (on Hopper about 60 % of what wgmma
 * reaches), and exp2, one per score in each kernel, which for D = 64 takes about as long as the products.
 */
#ifndef MUONIUM_CUDA_ATTENTION_TENSOR_H
#define MUONIUM_CUDA_ATTENTION_TENSOR_H

#include "cuda/attention_shape.h"
#include "cuda/mma.h"
#include "math/bf16.h"

namespace muonium::cuda {

inline constexpr int kAttentionThreads = 128;
inline constexpr int kAttentionWarps = kAttentionThreads / kWarp;
inline constexpr int kAttentionTile = 64;
inline constexpr int kAttentionHalf = 32;
/* Rows of a tile are one access of 16 bytes longer than D, so that eight rows of a column lie in different banks. */
inline constexpr int kAttentionPad = 8;
inline constexpr float kLog2E = 1.44269504f;

template <int D>
inline constexpr int kAttentionStride = D + kAttentionPad;

MU_DEVICE float infinity() {
  return float_of_bits(0x7f800000u);
}

/* --- tiles in shared memory, fragments in registers ----------------------------------------------------------------- */

/* Starts copying `rows` positions from `first` on; what lies behind the last position or the head's dimension becomes 0. */
template <int D, int rows>
MU_DEVICE void bring(bf16* shared, const bf16* x, int64_t stride, int64_t first, const AttentionShape& shape) {
  constexpr int kChunks = D / 8;
  for (int i = static_cast<int>(threadIdx.x); i < rows * kChunks; i += kAttentionThreads) {
    const int row = i / kChunks;
    const int column = i % kChunks * 8;
    const bool valid = first + row < shape.positions && column < shape.head_dim;
    copy_async16_or_zero(shared + row * kAttentionStride<D> + column,
                         valid ? x + (first + row) * stride + column : x, valid);
  }
}

/* A, 16 x 16, of rows stored one after the other. */
template <int D>
MU_DEVICE void load_a(uint32_t (&a)[4], const bf16* tile, int row, int column) {
  const int lane = static_cast<int>(lane_index());
  ldmatrix_x4(a, tile + (row + lane % 16) * kAttentionStride<D> + column + lane / 16 * 8);
}

/* Two fragments B, each 16 x 8 (depth x n), where the tile's rows are n: b[0] and b[1] are the first's. */
template <int D>
MU_DEVICE void load_b(uint32_t (&b)[4], const bf16* tile, int n, int depth) {
  const int lane = static_cast<int>(lane_index());
  ldmatrix_x4(b, tile + (n + lane / 16 * 8 + lane % 8) * kAttentionStride<D> + depth + lane / 8 % 2 * 8);
}

/* The same where the tile's rows are the depth. */
template <int D>
MU_DEVICE void load_b_across(uint32_t (&b)[4], const bf16* tile, int depth, int n) {
  const int lane = static_cast<int>(lane_index());
  ldmatrix_x4_trans(b, tile + (depth + lane % 16) * kAttentionStride<D> + n + lane / 16 * 8);
}

/* Both products with what load_b gave: d[0] and d[1] are neighbouring columns of eight. */
MU_DEVICE void mma_pair(float (&d0)[4], float (&d1)[4], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
  const uint32_t first[2] = {b[0], b[1]};
  const uint32_t second[2] = {b[2], b[3]};
  mma_bf16(d0, a, first);
  mma_bf16(d1, a, second);
}

/* Sixteen columns of a result, rounded, as the A of the next product. */
MU_DEVICE void pack_a(uint32_t (&a)[4], const float (&low)[4], const float (&high)[4]) {
  a[0] = pack_bf16(low[0], low[1]);
  a[1] = pack_bf16(low[2], low[3]);
  a[2] = pack_bf16(high[0], high[1]);
  a[3] = pack_bf16(high[2], high[3]);
}

template <int n>
MU_DEVICE void clear(float (&x)[n][4]) {
#pragma unroll
  for (int i = 0; i < n; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      x[i][e] = 0.0f;
    }
  }
}

/*
 * Writes a warp's 16 rows, times factors[0] (the upper eight) and factors[1], by way of 16 rows of shared memory that belong
 * to the warp: so every access to memory is 16 bytes wide.
 */
template <int D>
MU_DEVICE void store_rows(bf16* room, bf16* out, int64_t stride, int64_t first, const AttentionShape& shape,
                          const float (&x)[D / 8][4], const float (&factors)[2]) {
  constexpr int kChunks = D / 8;
  const int lane = static_cast<int>(lane_index());
  bf16* const upper = room + lane / 4 * kAttentionStride<D> + lane % 4 * 2;
  bf16* const lower = upper + 8 * kAttentionStride<D>;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    *reinterpret_cast<uint32_t*>(upper + 8 * c) = pack_bf16(x[c][0] * factors[0], x[c][1] * factors[0]);
    *reinterpret_cast<uint32_t*>(lower + 8 * c) = pack_bf16(x[c][2] * factors[1], x[c][3] * factors[1]);
  }
  __syncwarp();
  for (int i = lane; i < 16 * kChunks; i += kWarp) {
    const int row = i / kChunks;
    const int column = i % kChunks * 8;
    if (first + row < shape.positions && column < shape.head_dim) {
      store16(out + (first + row) * stride + column, load16(room + row * kAttentionStride<D> + column));
    }
  }
}

/* --- forward ------------------------------------------------------------------------------------------------------- */

/* The softmax of a lane's two rows, as far as keys have been seen. Scores are those before the scale. */
template <int D>
struct RunningSoftmax {
  float most[2];
  float total[2]; /* of this lane's columns only */
  float out[D / 8][4];

  /* scores become probabilities, relative to the greatest so far. */
  MU_DEVICE void see(float (&scores)[kAttentionTile / 8][4], float factor) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float higher = most[r];
#pragma unroll
      for (int c = 0; c < kAttentionTile / 8; ++c) {
        higher = fmaxf(higher, fmaxf(scores[c][2 * r], scores[c][2 * r + 1]));
      }
      higher = fmaxf(higher, shuffle_xor(higher, 1));
      higher = fmaxf(higher, shuffle_xor(higher, 2));
      const float kept = exp2_approximate((most[r] - higher) * factor);
      const float offset = higher * factor;
      float sum = total[r] * kept;
#pragma unroll
      for (int c = 0; c < kAttentionTile / 8; ++c) {
#pragma unroll
        for (int e = 2 * r; e < 2 * r + 2; ++e) {
          scores[c][e] = exp2_approximate(fused(scores[c][e], factor, -offset));
          sum += scores[c][e];
        }
      }
      most[r] = higher;
      total[r] = sum;
#pragma unroll
      for (int c = 0; c < D / 8; ++c) {
        out[c][2 * r] *= kept;
        out[c][2 * r + 1] *= kept;
      }
    }
  }
};

template <int D>
__global__ void __launch_bounds__(kAttentionThreads)
attention_tensor(const bf16* q, const bf16* k, const bf16* v, bf16* o, float* lse, AttentionShape shape) {
  constexpr int kSlices = D / 16;
  __shared__ __align__(128) bf16 keys[kAttentionTile * kAttentionStride<D>];
  __shared__ __align__(128) bf16 values[kAttentionTile * kAttentionStride<D>];
  const AttentionTile work =
      attention_tile(shape, shape.heads, (shape.positions + kAttentionTile - 1) / kAttentionTile, true);
  const int64_t first = work.tile * kAttentionTile;
  const int64_t query_at = shape.query_at(work.sequence, work.head);
  const int64_t key_at = shape.key_at(work.sequence, work.head / shape.group());
  const int lane = static_cast<int>(lane_index());
  const int warp_row = static_cast<int>(warp_index()) * 16;

  uint32_t queries[kSlices][4];
  bring<D, kAttentionTile>(values, q + query_at, shape.query_stride(), first, shape);
  bring<D, kAttentionTile>(keys, k + key_at, shape.key_stride(), 0, shape);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int slice = 0; slice < kSlices; ++slice) {
    load_a<D>(queries[slice], values, warp_row, 16 * slice);
  }
  __syncthreads();

  const float factor = shape.scale * kLog2E;
  RunningSoftmax<D> softmax;
  clear(softmax.out);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    softmax.most[r] = -infinity();
    softmax.total[r] = 0.0f;
  }
  for (int64_t tile = 0; tile <= work.tile; ++tile) {
    bring<D, kAttentionTile>(values, v + key_at, shape.key_stride(), tile * kAttentionTile, shape);
    copy_async_commit();
    float scores[kAttentionTile / 8][4];
    clear(scores);
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
#pragma unroll
      for (int c = 0; c < kAttentionTile / 8; c += 2) {
        uint32_t b[4];
        load_b<D>(b, keys, 8 * c, 16 * slice);
        mma_pair(scores[c], scores[c + 1], queries[slice], b);
      }
    }
    /* The values have come, and all warps are done with the keys. */
    copy_async_wait<0>();
    __syncthreads();
    if (tile < work.tile) {
      bring<D, kAttentionTile>(keys, k + key_at, shape.key_stride(), (tile + 1) * kAttentionTile, shape);
      copy_async_commit();
    } else {
      /* Query and key tiles are the same: only here are keys ahead of a query. */
#pragma unroll
      for (int c = 0; c < kAttentionTile / 8; ++c) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int key = 8 * c + lane % 4 * 2 + e % 2;
          const int query = warp_row + lane / 4 + e / 2 * 8;
          scores[c][e] = key > query ? -infinity() : scores[c][e];
        }
      }
    }
    softmax.see(scores, factor);
#pragma unroll
    for (int c = 0; c < kAttentionTile / 8; c += 2) {
      uint32_t p[4];
      pack_a(p, scores[c], scores[c + 1]);
#pragma unroll
      for (int d = 0; d < D / 8; d += 2) {
        uint32_t b[4];
        load_b_across<D>(b, values, 8 * c, 8 * d);
        mma_pair(softmax.out[d], softmax.out[d + 1], p, b);
      }
    }
    /* The next keys have come, and all warps are done with the values. */
    copy_async_wait<0>();
    __syncthreads();
  }

  float factors[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = softmax.total[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    factors[r] = 1.0f / total;
    const int64_t row = first + warp_row + lane / 4 + 8 * r;
    if (lane % 4 == 0 && row < shape.positions) {
      lse[shape.row_at(work.sequence, work.head) + row] = softmax.most[r] * shape.scale + logf(total);
    }
  }
  store_rows<D>(values + warp_row * kAttentionStride<D>, o + query_at, shape.query_stride(), first + warp_row, shape,
                softmax.out, factors);
}

/* --- backward ------------------------------------------------------------------------------------------------------ */

/* p and d p, in the place of scores and of the products of d_o with values, become p and d (scores / scale). */
MU_DEVICE void derive(float& p, float& dp, bool visible, float factor, float lse2, float delta) {
  p = visible ? exp2_approximate(fused(p, factor, -lse2)) : 0.0f;
  dp = p * (dp - delta);
}

/* A position's lse in base 2 and its delta; behind the last position such that its probabilities are 0. */
struct QueryRow {
  float lse2;
  float delta;

  MU_DEVICE QueryRow(const float* lse, const float* deltas, int64_t row, int64_t positions)
      : lse2(row < positions ? lse[row] * kLog2E : infinity()), delta(row < positions ? deltas[row] : 0.0f) {}
};

template <int D>
__global__ void __launch_bounds__(kAttentionThreads)
attention_query_gradient(const bf16* q, const bf16* k, const bf16* v, const float* lse, const bf16* d_o,
                         const float* delta, bf16* dq, AttentionShape shape) {
  constexpr int kSlices = D / 16;
  constexpr int kHalf = kAttentionHalf * kAttentionStride<D>;
  /* At first all queries and their gradients, then two stages of keys and values. */
  __shared__ __align__(128) bf16 buffer[4 * kHalf];
  const AttentionTile work =
      attention_tile(shape, shape.heads, (shape.positions + kAttentionTile - 1) / kAttentionTile, true);
  const int64_t first = work.tile * kAttentionTile;
  const int64_t query_at = shape.query_at(work.sequence, work.head);
  const int64_t key_at = shape.key_at(work.sequence, work.head / shape.group());
  const int64_t row_at = shape.row_at(work.sequence, work.head);
  const int lane = static_cast<int>(lane_index());
  const int warp_row = static_cast<int>(warp_index()) * 16;
  const int64_t own_row = first + warp_row + lane / 4;

  uint32_t queries[kSlices][4];
  uint32_t gradients[kSlices][4];
  bring<D, kAttentionTile>(buffer, q + query_at, shape.query_stride(), first, shape);
  bring<D, kAttentionTile>(buffer + 2 * kHalf, d_o + query_at, shape.query_stride(), first, shape);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
#pragma unroll
  for (int slice = 0; slice < kSlices; ++slice) {
    load_a<D>(queries[slice], buffer, warp_row, 16 * slice);
    load_a<D>(gradients[slice], buffer + 2 * kHalf, warp_row, 16 * slice);
  }
  __syncthreads();

  const QueryRow upper(lse + row_at, delta + row_at, own_row, shape.positions);
  const QueryRow lower(lse + row_at, delta + row_at, own_row + 8, shape.positions);
  const float factor = shape.scale * kLog2E;
  const int64_t behind = first + kAttentionTile < shape.positions ? first + kAttentionTile : shape.positions;
  const int64_t tiles = (behind + kAttentionHalf - 1) / kAttentionHalf;
  float out[D / 8][4];
  clear(out);
  bring<D, kAttentionHalf>(buffer, k + key_at, shape.key_stride(), 0, shape);
  bring<D, kAttentionHalf>(buffer + kHalf, v + key_at, shape.key_stride(), 0, shape);
  copy_async_commit();
  for (int64_t tile = 0; tile < tiles; ++tile) {
    /* This tile has come, and all warps are done with the one before. */
    copy_async_wait<0>();
    __syncthreads();
    const int64_t from = tile * kAttentionHalf;
    const bf16* const keys = buffer + tile % 2 * 2 * kHalf;
    const bf16* const values = keys + kHalf;
    if (tile + 1 < tiles) {
      bf16* const next = buffer + (tile + 1) % 2 * 2 * kHalf;
      bring<D, kAttentionHalf>(next, k + key_at, shape.key_stride(), from + kAttentionHalf, shape);
      bring<D, kAttentionHalf>(next + kHalf, v + key_at, shape.key_stride(), from + kAttentionHalf, shape);
      copy_async_commit();
    }
    if (from > first + warp_row + 15) {
      continue; /* This warp's queries see none of it. */
    }
    float p[kAttentionHalf / 8][4];
    float dp[kAttentionHalf / 8][4];
    clear(p);
    clear(dp);
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
#pragma unroll
      for (int c = 0; c < kAttentionHalf / 8; c += 2) {
        uint32_t b[4];
        load_b<D>(b, keys, 8 * c, 16 * slice);
        mma_pair(p[c], p[c + 1], queries[slice], b);
        load_b<D>(b, values, 8 * c, 16 * slice);
        mma_pair(dp[c], dp[c + 1], gradients[slice], b);
      }
    }
#pragma unroll
    for (int c = 0; c < kAttentionHalf / 8; ++c) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t key = from + 8 * c + lane % 4 * 2 + e % 2;
        derive(p[c][e], dp[c][e], key <= own_row + e / 2 * 8, factor, e < 2 ? upper.lse2 : lower.lse2,
               e < 2 ? upper.delta : lower.delta);
      }
    }
#pragma unroll
    for (int c = 0; c < kAttentionHalf / 8; c += 2) {
      uint32_t a[4];
      pack_a(a, dp[c], dp[c + 1]);
#pragma unroll
      for (int d = 0; d < D / 8; d += 2) {
        uint32_t b[4];
        load_b_across<D>(b, keys, 8 * c, 8 * d);
        mma_pair(out[d], out[d + 1], a, b);
      }
    }
  }
  __syncthreads();
  const float factors[2] = {shape.scale, shape.scale};
  store_rows<D>(buffer + warp_row * kAttentionStride<D>, dq + query_at, shape.query_stride(), first + warp_row, shape,
                out, factors);
}

template <int D>
struct KeyGradientRoom {
  bf16 keys[kAttentionTile * kAttentionStride<D>];
  bf16 values[kAttentionTile * kAttentionStride<D>];
  struct Stage {
    bf16 queries[kAttentionHalf * kAttentionStride<D>];
    bf16 gradients[kAttentionHalf * kAttentionStride<D>];
    float lse2[kAttentionHalf];
    float delta[kAttentionHalf];
  } stages[2];
};

template <int D>
__global__ void __launch_bounds__(kAttentionThreads)
attention_key_gradient(const bf16* q, const bf16* k, const bf16* v, const float* lse, const bf16* d_o,
                       const float* delta, bf16* dk, bf16* dv, AttentionShape shape) {
  constexpr int kSlices = D / 16;
  using Room = KeyGradientRoom<D>;
  MU_DYNAMIC_SHARED(Room, room);
  const AttentionTile work =
      attention_tile(shape, shape.kv_heads, (shape.positions + kAttentionTile - 1) / kAttentionTile, false);
  const int64_t first = work.tile * kAttentionTile;
  const int64_t key_at = shape.key_at(work.sequence, work.head);
  const int lane = static_cast<int>(lane_index());
  const int warp_row = static_cast<int>(warp_index()) * 16;
  const int64_t own_row = first + warp_row + lane / 4;
  const int64_t head_end = (work.head + 1) * shape.group();

  /* Queries of one head after the other, from the first that sees one of these keys on. */
  const auto bring_queries = [&](typename Room::Stage& stage, int64_t head, int64_t from) {
    const int64_t query_at = shape.query_at(work.sequence, head);
    bring<D, kAttentionHalf>(stage.queries, q + query_at, shape.query_stride(), from, shape);
    bring<D, kAttentionHalf>(stage.gradients, d_o + query_at, shape.query_stride(), from, shape);
    copy_async_commit();
    if (threadIdx.x < kAttentionHalf) {
      const int64_t row_at = shape.row_at(work.sequence, head);
      const QueryRow row(lse + row_at, delta + row_at, from + threadIdx.x, shape.positions);
      stage.lse2[threadIdx.x] = row.lse2;
      stage.delta[threadIdx.x] = row.delta;
    }
  };

  bring<D, kAttentionTile>(room->keys, k + key_at, shape.key_stride(), first, shape);
  bring<D, kAttentionTile>(room->values, v + key_at, shape.key_stride(), first, shape);
  bring_queries(room->stages[0], work.head * shape.group(), first);
  const float factor = shape.scale * kLog2E;
  float key_gradient[D / 8][4];
  float value_gradient[D / 8][4];
  clear(key_gradient);
  clear(value_gradient);
  int64_t next_head = work.head * shape.group();
  int64_t next = first;
  for (int now = 0; next_head < head_end; now ^= 1) {
    /* These queries have come, and all warps are done with those before. */
    copy_async_wait<0>();
    __syncthreads();
    const int64_t from = next;
    next += kAttentionHalf;
    if (next >= shape.positions) {
      next = first;
      ++next_head;
    }
    if (next_head < head_end) {
      bring_queries(room->stages[now ^ 1], next_head, next);
    }
    const typename Room::Stage& stage = room->stages[now];
    if (from + kAttentionHalf - 1 < first + warp_row) {
      continue; /* These queries see none of this warp's keys. */
    }
    float p[kAttentionHalf / 8][4];
    float dp[kAttentionHalf / 8][4];
    clear(p);
    clear(dp);
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
      uint32_t a[4];
      uint32_t b[4];
      load_a<D>(a, room->keys, warp_row, 16 * slice);
#pragma unroll
      for (int c = 0; c < kAttentionHalf / 8; c += 2) {
        load_b<D>(b, stage.queries, 8 * c, 16 * slice);
        mma_pair(p[c], p[c + 1], a, b);
      }
      load_a<D>(a, room->values, warp_row, 16 * slice);
#pragma unroll
      for (int c = 0; c < kAttentionHalf / 8; c += 2) {
        load_b<D>(b, stage.gradients, 8 * c, 16 * slice);
        mma_pair(dp[c], dp[c + 1], a, b);
      }
    }
#pragma unroll
    for (int c = 0; c < kAttentionHalf / 8; ++c) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int query = 8 * c + lane % 4 * 2 + e % 2;
        derive(p[c][e], dp[c][e], own_row + e / 2 * 8 <= from + query, factor, stage.lse2[query], stage.delta[query]);
      }
    }
#pragma unroll
    for (int c = 0; c < kAttentionHalf / 8; c += 2) {
      uint32_t a[4];
      uint32_t b[4];
      pack_a(a, p[c], p[c + 1]);
#pragma unroll
      for (int d = 0; d < D / 8; d += 2) {
        load_b_across<D>(b, stage.gradients, 8 * c, 8 * d);
        mma_pair(value_gradient[d], value_gradient[d + 1], a, b);
      }
      pack_a(a, dp[c], dp[c + 1]);
#pragma unroll
      for (int d = 0; d < D / 8; d += 2) {
        load_b_across<D>(b, stage.queries, 8 * c, 8 * d);
        mma_pair(key_gradient[d], key_gradient[d + 1], a, b);
      }
    }
  }
  /* A warp reads no other's keys and values, so that it may write over its own. */
  const float scaled[2] = {shape.scale, shape.scale};
  const float plain[2] = {1.0f, 1.0f};
  __syncwarp();
  store_rows<D>(room->keys + warp_row * kAttentionStride<D>, dk + key_at, shape.key_stride(), first + warp_row, shape,
                key_gradient, scaled);
  store_rows<D>(room->values + warp_row * kAttentionStride<D>, dv + key_at, shape.key_stride(), first + warp_row,
                shape, value_gradient, plain);
}

}  // namespace muonium::cuda

#endif
