/*
 * attention_plain.h - attention without tensor cores: in FP32 throughout, for any storage and alignment. A block owns 16 rows, four per
 * warp; of the rows they are matched with, 32 at a time lie in shared memory, one per lane for the scores; for the sums over
 * them a lane owns dimensions. The exact way, for FP32 models and checks: bound by reads of shared memory, one per four
 * multiplications.
 */
#ifndef MUONIUM_CUDA_ATTENTION_PLAIN_H
#define MUONIUM_CUDA_ATTENTION_PLAIN_H

#include "cuda/attention_shape.h"
#include "cuda/pieces.h"

namespace muonium::cuda {

inline constexpr int kPlainAttentionThreads = 128;
inline constexpr int kPlainAttentionWarps = kPlainAttentionThreads / kWarp;
inline constexpr int kOwnPerWarp = 4;
inline constexpr int kOwnRows = kOwnPerWarp * kPlainAttentionWarps;
inline constexpr int kOtherRows = kWarp;
inline constexpr int kMostHeadDim = 128;
inline constexpr int kDimsPerLane = kMostHeadDim / kWarp;

/* Widens `rows` positions into shared memory, `width` floats apart; behind the last position zeros. */
template <class T>
MU_DEVICE void widen_rows(float* shared, int width, int rows, const T* x, int64_t stride, int64_t first,
                          const AttentionShape& shape) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * shape.head_dim; i += kPlainAttentionThreads) {
    const int row = i / shape.head_dim;
    const int column = i % shape.head_dim;
    shared[row * width + column] = first + row < shape.positions ? to_float(x[(first + row) * stride + column]) : 0.0f;
  }
}

/* The products of a warp's four rows with this lane's. */
MU_DEVICE void dot_rows(float (&dots)[kOwnPerWarp], const float* own, const float* other, int head_dim) {
#pragma unroll
  for (int r = 0; r < kOwnPerWarp; ++r) {
    dots[r] = 0.0f;
  }
  for (int d = 0; d < head_dim; ++d) {
    const float x = other[d];
#pragma unroll
    for (int r = 0; r < kOwnPerWarp; ++r) {
      dots[r] = fused(own[r * head_dim + d], x, dots[r]);
    }
  }
}

using PlainSums = float[kOwnPerWarp][kDimsPerLane];

/* sums[r] += the 32 rows of `other`, each times its weight for row r; weights is 4 x 32. */
MU_DEVICE void add_rows(PlainSums& sums, const float* weights, const float* other, int width, int head_dim) {
  for (int j = 0; j < kOtherRows; ++j) {
#pragma unroll
    for (int i = 0; i < kDimsPerLane; ++i) {
      const int d = static_cast<int>(lane_index()) + i * kWarp;
      const float x = d < head_dim ? other[j * width + d] : 0.0f;
#pragma unroll
      for (int r = 0; r < kOwnPerWarp; ++r) {
        sums[r][i] = fused(weights[r * kOtherRows + j], x, sums[r][i]);
      }
    }
  }
}

MU_DEVICE void clear_sums(PlainSums& sums) {
#pragma unroll
  for (int r = 0; r < kOwnPerWarp; ++r) {
#pragma unroll
    for (int i = 0; i < kDimsPerLane; ++i) {
      sums[r][i] = 0.0f;
    }
  }
}

template <class T>
MU_DEVICE void put_row(T* out, const float (&sums)[kDimsPerLane], float factor, int head_dim) {
#pragma unroll
  for (int i = 0; i < kDimsPerLane; ++i) {
    const int d = static_cast<int>(lane_index()) + i * kWarp;
    if (d < head_dim) {
      const float value[1] = {sums[i] * factor};
      store_piece(out + d, value);
    }
  }
}

/* Floats of dynamic shared memory. */
inline int64_t plain_forward_floats(int64_t head_dim) {
  return kOwnRows * head_dim + kOtherRows * (2 * head_dim + 1) + kOwnRows * kOtherRows;
}

inline int64_t plain_backward_floats(int64_t head_dim) {
  return 2 * kOwnRows * head_dim + 2 * kOtherRows * (head_dim + 1) + 2 * kOwnRows * kOtherRows;
}

template <class T>
__global__ void __launch_bounds__(kPlainAttentionThreads, 4)
attention_plain(const T* q, const T* k, const T* v, T* o, float* lse, AttentionShape shape) {
  MU_DYNAMIC_SHARED(float, room);
  const int dim = shape.head_dim;
  float* const queries = room;
  float* const keys = queries + kOwnRows * dim;
  float* const values = keys + kOtherRows * (dim + 1);
  const int warp = static_cast<int>(warp_index());
  const int lane = static_cast<int>(lane_index());
  float* const weights = values + kOtherRows * dim + warp * kOwnPerWarp * kOtherRows;
  const AttentionTile work = attention_tile(shape, shape.heads, (shape.positions + kOwnRows - 1) / kOwnRows, true);
  const int64_t first = work.tile * kOwnRows;
  const int64_t own = first + warp * kOwnPerWarp;
  const int64_t query_at = shape.query_at(work.sequence, work.head);
  const int64_t key_at = shape.key_at(work.sequence, work.head / shape.group());
  const int64_t behind = first + kOwnRows < shape.positions ? first + kOwnRows : shape.positions;

  widen_rows(queries, dim, kOwnRows, q + query_at, shape.query_stride(), first, shape);
  float most[kOwnPerWarp];
  float total[kOwnPerWarp];
  PlainSums out;
  clear_sums(out);
#pragma unroll
  for (int r = 0; r < kOwnPerWarp; ++r) {
    most[r] = float_of_bits(0xff800000u);
    total[r] = 0.0f;
  }
  for (int64_t from = 0; from < behind; from += kOtherRows) {
    widen_rows(keys, dim + 1, kOtherRows, k + key_at, shape.key_stride(), from, shape);
    widen_rows(values, dim, kOtherRows, v + key_at, shape.key_stride(), from, shape);
    __syncthreads();
    float scores[kOwnPerWarp];
    dot_rows(scores, queries + warp * kOwnPerWarp * dim, keys + lane * (dim + 1), dim);
#pragma unroll
    for (int r = 0; r < kOwnPerWarp; ++r) {
      const bool visible = from + lane <= own + r;
      const float score = visible ? shape.scale * scores[r] : float_of_bits(0xff800000u);
      const float higher = fmaxf(most[r], warp_max(score));
      const float weight = visible ? expf(score - higher) : 0.0f;
      const float kept = expf(most[r] - higher);
      weights[r * kOtherRows + lane] = weight;
      total[r] = total[r] * kept + warp_sum(weight);
      most[r] = higher;
#pragma unroll
      for (int i = 0; i < kDimsPerLane; ++i) {
        out[r][i] *= kept;
      }
    }
    __syncwarp();
    add_rows(out, weights, values, dim, dim);
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < kOwnPerWarp; ++r) {
    if (own + r < shape.positions) {
      put_row(o + query_at + (own + r) * shape.query_stride(), out[r], 1.0f / total[r], dim);
      if (lane == 0) {
        lse[shape.row_at(work.sequence, work.head) + own + r] = most[r] + logf(total[r]);
      }
    }
  }
}

/*
 * dq, where the rows owned are queries (kKeys = false; q and d_o against k and v), or dk and dv, where they are keys (k and v against
 * q and d_o of all heads of the group, one after the other).
 */
template <class T, bool kKeys>
__global__ void __launch_bounds__(kPlainAttentionThreads)
attention_plain_backward(const T* q, const T* k, const T* v, const float* lse, const T* d_o, const float* delta, T* dq,
                         T* dk, T* dv, AttentionShape shape) {
  MU_DYNAMIC_SHARED(float, room);
  const int dim = shape.head_dim;
  const int width = dim + 1;
  float* const own_scores = room;
  float* const own_products = own_scores + kOwnRows * dim;
  float* const scores = own_products + kOwnRows * dim;
  float* const products = scores + kOtherRows * width;
  const int warp = static_cast<int>(warp_index());
  const int lane = static_cast<int>(lane_index());
  float* const p_weights = products + kOtherRows * width + 2 * warp * kOwnPerWarp * kOtherRows;
  float* const ds_weights = p_weights + kOwnPerWarp * kOtherRows;
  const AttentionTile work = attention_tile(shape, kKeys ? shape.kv_heads : shape.heads,
                                            (shape.positions + kOwnRows - 1) / kOwnRows, !kKeys);
  const int64_t first = work.tile * kOwnRows;
  const int64_t own = first + warp * kOwnPerWarp;
  const int64_t first_head = kKeys ? work.head * shape.group() : work.head;
  const int64_t key_at = shape.key_at(work.sequence, kKeys ? work.head : work.head / shape.group());
  const int64_t query_at = shape.query_at(work.sequence, first_head);
  if (kKeys) {
    widen_rows(own_scores, dim, kOwnRows, k + key_at, shape.key_stride(), first, shape);
    widen_rows(own_products, dim, kOwnRows, v + key_at, shape.key_stride(), first, shape);
  } else {
    widen_rows(own_scores, dim, kOwnRows, q + query_at, shape.query_stride(), first, shape);
    widen_rows(own_products, dim, kOwnRows, d_o + query_at, shape.query_stride(), first, shape);
  }

  PlainSums score_sums; /* dq or dk */
  PlainSums value_sums; /* dv */
  clear_sums(score_sums);
  clear_sums(value_sums);
  const int64_t begin = kKeys ? first / kOtherRows * kOtherRows : 0;
  const int64_t last = first + kOwnRows < shape.positions ? first + kOwnRows : shape.positions;
  const int64_t end = kKeys ? shape.positions : last;
  const int64_t heads = kKeys ? shape.group() : 1;
  for (int64_t head = 0; head < heads; ++head) {
    const int64_t row_at = shape.row_at(work.sequence, first_head + head);
    for (int64_t from = begin; from < end; from += kOtherRows) {
      if (kKeys) {
        const int64_t at = query_at + head * dim;
        widen_rows(scores, width, kOtherRows, q + at, shape.query_stride(), from, shape);
        widen_rows(products, width, kOtherRows, d_o + at, shape.query_stride(), from, shape);
      } else {
        widen_rows(scores, width, kOtherRows, k + key_at, shape.key_stride(), from, shape);
        widen_rows(products, width, kOtherRows, v + key_at, shape.key_stride(), from, shape);
      }
      __syncthreads();
      float s[kOwnPerWarp];
      float dp[kOwnPerWarp];
      dot_rows(s, own_scores + warp * kOwnPerWarp * dim, scores + lane * width, dim);
      dot_rows(dp, own_products + warp * kOwnPerWarp * dim, products + lane * width, dim);
#pragma unroll
      for (int r = 0; r < kOwnPerWarp; ++r) {
        const int64_t query = kKeys ? from + lane : own + r;
        const int64_t key = kKeys ? own + r : from + lane;
        const bool visible = key <= query && query < shape.positions;
        const float p = visible ? expf(shape.scale * s[r] - lse[row_at + query]) : 0.0f;
        p_weights[r * kOtherRows + lane] = p;
        ds_weights[r * kOtherRows + lane] = visible ? shape.scale * p * (dp[r] - delta[row_at + query]) : 0.0f;
      }
      __syncwarp();
      add_rows(score_sums, ds_weights, scores, width, dim);
      if (kKeys) {
        add_rows(value_sums, p_weights, products, width, dim);
      }
      __syncthreads();
    }
  }
#pragma unroll
  for (int r = 0; r < kOwnPerWarp; ++r) {
    if (own + r < shape.positions) {
      if (kKeys) {
        put_row(dk + key_at + (own + r) * shape.key_stride(), score_sums[r], 1.0f, dim);
        put_row(dv + key_at + (own + r) * shape.key_stride(), value_sums[r], 1.0f, dim);
      } else {
        put_row(dq + query_at + (own + r) * shape.query_stride(), score_sums[r], 1.0f, dim);
      }
    }
  }
}

}  // namespace muonium::cuda

#endif
