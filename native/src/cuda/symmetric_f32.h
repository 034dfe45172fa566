/*
 * symmetric_f32.h - C <- c0 I + c1 D + c2 A B^T in FP32, the upper tiles only: tiles of 64 x 64, 8 x 4 entries per thread, fused
 * multiplications and additions in the order of the depth. The exact way, for checks and small matrices: it is bound by
 * FP32 arithmetic and reads 12 floats from shared memory per 32 multiplications.
 */
#ifndef MUONIUM_CUDA_SYMMETRIC_F32_H
#define MUONIUM_CUDA_SYMMETRIC_F32_H

#include "cuda/symmetric_shape.h"
#include "math/newton_schulz.h"

namespace muonium::cuda {

inline constexpr int kPlainSide = 64;
inline constexpr int kPlainDepth = 16;
inline constexpr int kPlainThreads = 128;
/* A row and one access of 16 bytes more, so that the rows of a column lie in different banks. */
inline constexpr int kPlainRow = kPlainSide + 4;
inline constexpr int kPlainLoads = kPlainSide * kPlainDepth / kPlainThreads;

/* What this thread brings of one operand's step, coalesced along the rows in memory. */
template <bool kTransposed>
MU_DEVICE void load_step(float (&values)[kPlainLoads], const float* x, int64_t ld, int first, int depth, int n, int k) {
  MU_UNROLL
  for (int i = 0; i < kPlainLoads; ++i) {
    const int e = static_cast<int>(threadIdx.x) + i * kPlainThreads;
    const int entry = first + (kTransposed ? e % kPlainSide : e / kPlainDepth);
    const int at = depth + (kTransposed ? e / kPlainSide : e % kPlainDepth);
    const bool inside = entry < n && at < k;
    values[i] = inside ? (kTransposed ? x[at * ld + entry] : x[entry * ld + at]) : 0.0f;
  }
}

template <bool kTransposed>
MU_DEVICE void store_step(float (&panel)[kPlainDepth][kPlainRow], const float (&values)[kPlainLoads]) {
  MU_UNROLL
  for (int i = 0; i < kPlainLoads; ++i) {
    const int e = static_cast<int>(threadIdx.x) + i * kPlainThreads;
    const int entry = kTransposed ? e % kPlainSide : e / kPlainDepth;
    const int at = kTransposed ? e / kPlainSide : e % kPlainDepth;
    panel[at][entry] = values[i];
  }
}

MU_DEVICE void load_four(float (&to)[4], const float* from) {
  const uint4 words = load16(from);
  to[0] = float_of_bits(words.x);
  to[1] = float_of_bits(words.y);
  to[2] = float_of_bits(words.z);
  to[3] = float_of_bits(words.w);
}

template <bool kTransposed>
__global__ void __launch_bounds__(kPlainThreads)
symmetric_f32(const float* a, const float* b, const float* d, float* c, const float* coefficients,
              SymmetricShape shape) {
  __shared__ __align__(16) float a_panel[kPlainDepth][kPlainRow];
  __shared__ __align__(16) float b_panel[kPlainDepth][kPlainRow];
  __shared__ float entries[kPlainSide][kPlainSide + 1];

  const SymmetricTile tile = symmetric_tile(shape, blockIdx.x, kPlainSide);
  const int n = shape.n;
  const int k = shape.k;
  const int first_row = static_cast<int>(threadIdx.x) / 16 * 8;
  const int first_col = static_cast<int>(threadIdx.x) % 16 * 4;
  const float* const a_matrix = a + tile.matrix * shape.a_stride;
  const float* const b_matrix = b + tile.matrix * shape.b_stride;

  float sum[8][4];
  MU_UNROLL
  for (int i = 0; i < 8; ++i) {
    MU_UNROLL
    for (int j = 0; j < 4; ++j) {
      sum[i][j] = 0.0f;
    }
  }
  float a_next[kPlainLoads];
  float b_next[kPlainLoads];
  load_step<kTransposed>(a_next, a_matrix, shape.lda, tile.row, 0, n, k);
  load_step<kTransposed>(b_next, b_matrix, shape.ldb, tile.col, 0, n, k);
  for (int depth = 0; depth < k; depth += kPlainDepth) {
    store_step<kTransposed>(a_panel, a_next);
    store_step<kTransposed>(b_panel, b_next);
    __syncthreads();
    /* On their way while this step is worked on; beyond the depth nothing is read. */
    load_step<kTransposed>(a_next, a_matrix, shape.lda, tile.row, depth + kPlainDepth, n, k);
    load_step<kTransposed>(b_next, b_matrix, shape.ldb, tile.col, depth + kPlainDepth, n, k);
    MU_UNROLL
    for (int l = 0; l < kPlainDepth; ++l) {
      float upper[4];
      float lower[4];
      float right[4];
      load_four(upper, &a_panel[l][first_row]);
      load_four(lower, &a_panel[l][first_row + 4]);
      load_four(right, &b_panel[l][first_col]);
      MU_UNROLL
      for (int i = 0; i < 4; ++i) {
        MU_UNROLL
        for (int j = 0; j < 4; ++j) {
          sum[i][j] = fused(upper[i], right[j], sum[i][j]);
          sum[i + 4][j] = fused(lower[i], right[j], sum[i + 4][j]);
        }
      }
    }
    __syncthreads();
  }

  const float* const parts = coefficients + tile.matrix * shape.coefficient_stride;
  const bool has_d = d != nullptr;
  const float c1 = has_d ? parts[1] : 0.0f;
  MU_UNROLL
  for (int i = 0; i < 8; ++i) {
    const int row = tile.row + first_row + i;
    MU_UNROLL
    for (int j = 0; j < 4; ++j) {
      const int col = tile.col + first_col + j;
      const bool inside = row < n && col < n;
      const float entry_of_d = has_d && inside ? d[tile.matrix * shape.d_stride + row * shape.ldd + col] : 0.0f;
      entries[first_row + i][first_col + j] =
          polynomial_entry(parts[0], c1, parts[2], has_d, row == col, entry_of_d, sum[i][j]);
    }
  }
  __syncthreads();

  float* const c_matrix = c + tile.matrix * shape.c_stride;
  for (int e = static_cast<int>(threadIdx.x); e < kPlainSide * kPlainSide; e += kPlainThreads) {
    const int i = e / kPlainSide;
    const int j = e % kPlainSide;
    if (tile.row + i < n && tile.col + j < n) {
      /* On the diagonal both triangles come from the upper one. */
      c_matrix[(tile.row + i) * shape.ldc + tile.col + j] = tile.diagonal && i > j ? entries[j][i] : entries[i][j];
    }
    if (!tile.diagonal && tile.col + i < n && tile.row + j < n) {
      c_matrix[(tile.col + i) * shape.ldc + tile.row + j] = entries[j][i];
    }
  }
}

}  // namespace muonium::cuda

#endif
