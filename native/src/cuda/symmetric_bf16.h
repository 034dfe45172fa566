/*
 * symmetric_bf16.h - C <- c0 I + c1 D + c2 A B^T of bf16 on tensor cores, the upper tiles only.
 *
 * A block of four warps makes a tile of 128 x 128 entries, 64 x 64 per warp (or 64 x 64 and 32 x 32: for matrices too small
 * or too few to give every multiprocessor two blocks of the large ones). It runs over the depth in steps of 32, three steps
 * of operands in shared memory: two on their way (cp.async) while the tensor cores (mma m16n8k16) work on the third.
 *
 * Why so. A warp of 64 x 64 reads 4 KiB of fragments per 131072 operations, and a tile's copies add half as much: on an
 * A100 at its full 2048 operations per clock and multiprocessor that is 96 of the 128 bytes that shared memory moves in a
 * clock. Warps of 64 x 32 would need all 128. The tile itself has 64 operations per byte that comes from the cache of
 * the second level: 4.9 TB/s at an A100's peak of 312 TFLOP/s. So 75 to 85 % of the peak of mma.sync is what to expect on
 * sm_80 to sm_89 and sm_120; on sm_90 and sm_100, where mma.sync itself reaches some 60 % of what wgmma does and that cache
 * becomes the limit, 350 to 400 TFLOP/s, which is as much as a full product at twice that. Three steps are 48 KiB, so that
 * two blocks fit a multiprocessor of 100 KiB as well as larger ones: one computes while the other waits at its barrier or
 * writes its tile. 128 accumulators and two sets of fragments (64) per thread need 206 to 236 of the 255 registers that
 * two blocks of 128 threads leave.
 *
 * In shared memory 16-byte chunks are permuted within their rows (XOR with the row) so that the eight rows of a matrix
 * that ldmatrix loads, and eight neighbouring chunks of a copy, lie in different banks.
 *
 * The last act goes through shared memory too: D comes in by 16-byte copies, each thread turns the entries of D that belong
 * to its accumulators into those of C, then C goes out in 16-byte pieces, as it is and (ldmatrix.trans, then an exchange
 * among four lanes) transposed. The sums run over the depth in order, so a result is the same on every run.
 */
#ifndef MUONIUM_CUDA_SYMMETRIC_BF16_H
#define MUONIUM_CUDA_SYMMETRIC_BF16_H

#include "cuda/mma.h"
#include "cuda/symmetric_shape.h"
#include "math/bf16.h"
#include "math/newton_schulz.h"

namespace muonium::cuda {

inline constexpr int kTensorThreads = 128;
inline constexpr int kTensorDepth = 32;
inline constexpr int kTensorStages = 3;
/* Elements of a 16-byte chunk. */
inline constexpr int kChunk = 8;

constexpr int tensor_blocks(int side) {
  return side == 128 ? 2 : 4;
}

/* Both operands' steps; the tile of C, which takes their place, is smaller. */
constexpr size_t tensor_shared_bytes(int side) {
  return static_cast<size_t>(kTensorStages) * 2 * static_cast<size_t>(side) * kTensorDepth * sizeof(bf16);
}

/* Where a chunk of a row lies, in bytes, for rows of 32, 64 or 128 elements. */
template <int kRowElements>
MU_DEVICE int chunk_at(int row, int chunk) {
  constexpr int bytes = kRowElements * 2;
  /* Rows of 64 bytes: two share the banks' 128. */
  const int mask = kRowElements == 32 ? (row >> 1) & 3 : row & 7;
  return row * bytes + ((chunk ^ mask) << 4);
}

/* Eight elements of which only the first `count` may be touched (and none when it is not positive). */
MU_DEVICE uint4 load_chunk(const bf16* from, int count) {
  unsigned words[4] = {0, 0, 0, 0};
  MU_UNROLL
  for (int i = 0; i < kChunk; ++i) {
    if (i < count) {
      words[i / 2] |= static_cast<unsigned>(from[i].bits) << (16 * (i % 2));
    }
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/* kWhole: chunks are never cut by an edge, and aligned. */
template <bool kWhole>
MU_DEVICE void store_chunk(bf16* to, uint4 chunk, int count) {
  if constexpr (kWhole) {
    if (count > 0) {
      store16(to, chunk);
    }
  } else {
    const unsigned words[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
    MU_UNROLL
    for (int i = 0; i < kChunk; ++i) {
      if (i < count) {
        to[i] = bf16{static_cast<uint16_t>(words[i / 2] >> (16 * (i % 2)))};
      }
    }
  }
}

/* Brings a chunk into shared memory: asynchronously where it can be. */
template <bool kWhole>
MU_DEVICE void bring_chunk(unsigned char* to, const bf16* from, int count) {
  if constexpr (kWhole) {
    copy_async16_or_zero(to, from, count > 0);
  } else {
    store16(to, load_chunk(from, count));
  }
}

/* What this thread copies of one operand: its chunk of every kRowsPerPass-th row of a step. */
template <int kSide, bool kTransposed, bool kWhole>
struct TensorOperand {
  static constexpr int kRows = kTransposed ? kTensorDepth : kSide;
  static constexpr int kRowElements = kTransposed ? kSide : kTensorDepth;
  static constexpr int kChunks = kRowElements / kChunk;
  static constexpr int kRowsPerPass = kTensorThreads / kChunks;
  static constexpr int kPasses = kRows / kRowsPerPass;
  static constexpr int kBytes = kRows * kRowElements * 2;

  const bf16* from;
  int64_t pass; /* elements from a row to that of the next pass */
  int64_t step; /* elements from a step to the next */
  int entry;    /* of C's rows or columns: that of the first element */
  int depth;
  int at;       /* in a step's shared memory */

  MU_DEVICE TensorOperand(const bf16* x, int64_t ld, int first_entry) {
    const int row = static_cast<int>(threadIdx.x) / kChunks;
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    entry = first_entry + (kTransposed ? chunk * kChunk : row);
    depth = kTransposed ? row : chunk * kChunk;
    from = kTransposed ? x + depth * ld + entry : x + entry * ld + depth;
    pass = kRowsPerPass * ld;
    step = kTransposed ? kTensorDepth * ld : kTensorDepth;
    at = chunk_at<kRowElements>(row, chunk);
  }

  /* Copies the next step. Rows kRowsPerPass apart are permuted alike. */
  MU_DEVICE void copy(unsigned char* stage, int n, int k) {
    static_assert(kRowsPerPass % 8 == 0);
    MU_UNROLL
    for (int p = 0; p < kPasses; ++p) {
      const int row = p * kRowsPerPass;
      const int count = kTransposed ? (depth + row < k ? n - entry : 0) : (entry + row < n ? k - depth : 0);
      bring_chunk<kWhole>(stage + at + row * kRowElements * 2, from + p * pass, count);
    }
    from += step;
    depth += kTensorDepth;
  }
};

/* The fragments of a warp's rows of A at 16 of a step's depths. */
template <int kSide, bool kTransposed, int kCount>
MU_DEVICE void load_a(uint32_t (&fragments)[kCount][4], const unsigned char* stage, int first, int depth) {
  const int lane = static_cast<int>(lane_index());
  MU_UNROLL
  for (int i = 0; i < kCount; ++i) {
    const int entry = first + 16 * i;
    if constexpr (kTransposed) {
      const int row = depth + lane % 8 + lane / 16 * 8;
      ldmatrix_x4_trans(fragments[i], stage + chunk_at<kSide>(row, entry / kChunk + lane / 8 % 2));
    } else {
      ldmatrix_x4(fragments[i], stage + chunk_at<kTensorDepth>(entry + lane % 16, depth / kChunk + lane / 16));
    }
  }
}

/* The fragments of a warp's columns, eight each, of which B's rows (or columns, transposed) are. */
template <int kSide, bool kTransposed, int kCount>
MU_DEVICE void load_b(uint32_t (&fragments)[kCount][2], const unsigned char* stage, int first, int depth) {
  const int lane = static_cast<int>(lane_index());
  MU_UNROLL
  for (int j = 0; j < kCount; j += 2) {
    const int entry = first + 8 * j;
    uint32_t pair[4];
    if constexpr (kTransposed) {
      const int row = depth + lane % 8 + lane / 8 % 2 * 8;
      ldmatrix_x4_trans(pair, stage + chunk_at<kSide>(row, entry / kChunk + lane / 16));
    } else {
      const int row = entry + lane % 8 + lane / 16 * 8;
      ldmatrix_x4(pair, stage + chunk_at<kTensorDepth>(row, depth / kChunk + lane / 8 % 2));
    }
    fragments[j][0] = pair[0];
    fragments[j][1] = pair[1];
    fragments[j + 1][0] = pair[2];
    fragments[j + 1][1] = pair[3];
  }
}

/*
 * Lane t of four holds the t-th word of each of four chunks; afterwards it holds all of chunk t: the 4 x 4 words of four
 * lanes are transposed, two rounds of two exchanges.
 */
MU_DEVICE uint4 exchange_chunks(const uint32_t (&words)[4]) {
  const unsigned lane = lane_index();
  const bool upper = (lane & 2) != 0;
  const uint32_t first = shuffle_xor(upper ? words[0] : words[2], 2);
  const uint32_t second = shuffle_xor(upper ? words[1] : words[3], 2);
  const uint32_t v0 = upper ? first : words[0];
  const uint32_t v1 = upper ? second : words[1];
  const uint32_t v2 = upper ? words[2] : first;
  const uint32_t v3 = upper ? words[3] : second;
  const bool odd = (lane & 1) != 0;
  const uint32_t third = shuffle_xor(odd ? v0 : v1, 1);
  const uint32_t fourth = shuffle_xor(odd ? v2 : v3, 1);
  return odd ? make_uint4(third, v1, fourth, v3) : make_uint4(v0, third, v2, fourth);
}

/* The tile of C in shared memory, from the accumulators and the tile of D that lies there before. */
template <int kSide, int kM, int kN>
MU_DEVICE void combine(unsigned char* shared, const float (&sum)[kM][kN][4], int first_row, int first_col,
                       const SymmetricTile& tile, const float* coefficients, bool has_d) {
  const float c0 = coefficients[0];
  const float c1 = has_d ? coefficients[1] : 0.0f;
  const float c2 = coefficients[2];
  const int lane = static_cast<int>(lane_index());
  MU_UNROLL
  for (int i = 0; i < kM; ++i) {
    MU_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + 16 * i + 8 * half + lane / 4;
      MU_UNROLL
      for (int j = 0; j < kN; ++j) {
        const int col = first_col + 8 * j + lane % 4 * 2;
        uint32_t* const at = reinterpret_cast<uint32_t*>(shared + chunk_at<kSide>(row, col / kChunk) + col % kChunk * 2);
        const uint32_t d = has_d ? *at : 0;
        const float left = polynomial_entry(c0, c1, c2, has_d, tile.row + row == tile.col + col,
                                            float_of_bits(d << 16), sum[i][j][2 * half]);
        const float right = polynomial_entry(c0, c1, c2, has_d, tile.row + row == tile.col + col + 1,
                                             float_of_bits(d & 0xffff0000u), sum[i][j][2 * half + 1]);
        *at = pack_bf16(left, right);
      }
    }
  }
}

/* The eight by eight entries around the diagonal of a tile on it: their lower halves become the mirror of the upper. */
template <int kSide>
MU_DEVICE void mirror_diagonal(unsigned char* shared) {
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kChunk; e += kTensorThreads) {
    const int block = e / 64;
    const int i = e % 64 / 8;
    const int j = e % 8;
    if (i < j) {
      const unsigned char* from = shared + chunk_at<kSide>(8 * block + i, block) + 2 * j;
      unsigned char* to = shared + chunk_at<kSide>(8 * block + j, block) + 2 * i;
      *reinterpret_cast<uint16_t*>(to) = *reinterpret_cast<const uint16_t*>(from);
    }
  }
}

template <int kSide, bool kTransposed, bool kWhole>
__global__ void __launch_bounds__(kTensorThreads, tensor_blocks(kSide))
symmetric_bf16(const bf16* a, const bf16* b, const bf16* d, bf16* c, const float* coefficients, SymmetricShape shape) {
  using Operand = TensorOperand<kSide, kTransposed, kWhole>;
  constexpr int kStage = 2 * Operand::kBytes;
  constexpr int kWarpSide = kSide / 2;
  constexpr int kM = kWarpSide / 16;
  constexpr int kN = kWarpSide / 8;
  constexpr int kChunks = kSide / kChunk;
  constexpr int kSlices = kTensorDepth / 16;
  MU_DYNAMIC_SHARED(unsigned char, shared);

  const SymmetricTile tile = symmetric_tile(shape, blockIdx.x, kSide);
  const int n = shape.n;
  const int k = shape.k;
  const int lane = static_cast<int>(lane_index());
  const int warp = static_cast<int>(warp_index());
  const int warp_row = warp / 2 * kWarpSide;
  const int warp_col = warp % 2 * kWarpSide;

  float sum[kM][kN][4];
  MU_UNROLL
  for (int i = 0; i < kM; ++i) {
    MU_UNROLL
    for (int j = 0; j < kN; ++j) {
      MU_UNROLL
      for (int r = 0; r < 4; ++r) {
        sum[i][j][r] = 0.0f;
      }
    }
  }

  Operand left(a + tile.matrix * shape.a_stride, shape.lda, tile.row);
  Operand right(b + tile.matrix * shape.b_stride, shape.ldb, tile.col);
  const int steps = (k + kTensorDepth - 1) / kTensorDepth;
  for (int s = 0; s < kTensorStages - 1; ++s) {
    if (s < steps) {
      left.copy(shared + s * kStage, n, k);
      right.copy(shared + s * kStage + Operand::kBytes, n, k);
    }
    copy_async_commit();
  }
  int reading = 0;
  int writing = kTensorStages - 1;
  for (int s = 0; s < steps; ++s) {
    /* One barrier: what step s needs has come, and what step s - 1 used is free. */
    copy_async_wait<kTensorStages - 2>();
    __syncthreads();
    const unsigned char* const stage = shared + reading * kStage;
    uint32_t a_fragments[2][kM][4];
    uint32_t b_fragments[2][kN][2];
    load_a<kSide, kTransposed>(a_fragments[0], stage, warp_row, 0);
    load_b<kSide, kTransposed>(b_fragments[0], stage + Operand::kBytes, warp_col, 0);
    if (s + kTensorStages - 1 < steps) {
      left.copy(shared + writing * kStage, n, k);
      right.copy(shared + writing * kStage + Operand::kBytes, n, k);
    }
    copy_async_commit();
    MU_UNROLL
    for (int slice = 0; slice < kSlices; ++slice) {
      if (slice + 1 < kSlices) {
        load_a<kSide, kTransposed>(a_fragments[(slice + 1) % 2], stage, warp_row, 16 * (slice + 1));
        load_b<kSide, kTransposed>(b_fragments[(slice + 1) % 2], stage + Operand::kBytes, warp_col, 16 * (slice + 1));
      }
      MU_UNROLL
      for (int i = 0; i < kM; ++i) {
        MU_UNROLL
        for (int j = 0; j < kN; ++j) {
          mma_bf16(sum[i][j], a_fragments[slice % 2][i], b_fragments[slice % 2][j]);
        }
      }
    }
    reading = reading + 1 == kTensorStages ? 0 : reading + 1;
    writing = writing + 1 == kTensorStages ? 0 : writing + 1;
  }
  copy_async_wait<0>();
  __syncthreads();

  const int chunk = static_cast<int>(threadIdx.x) % kChunks;
  if (d != nullptr) {
    const bf16* const d_matrix = d + tile.matrix * shape.d_stride;
    for (int row = static_cast<int>(threadIdx.x) / kChunks; row < kSide; row += kTensorThreads / kChunks) {
      const int count = tile.row + row < n ? n - tile.col - chunk * kChunk : 0;
      bring_chunk<kWhole>(shared + chunk_at<kSide>(row, chunk),
                          d_matrix + (tile.row + row) * shape.ldd + tile.col + chunk * kChunk, count);
    }
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
  }
  combine<kSide>(shared, sum, warp_row, warp_col, tile, coefficients + tile.matrix * shape.coefficient_stride,
                 d != nullptr);
  __syncthreads();
  if (tile.diagonal) {
    mirror_diagonal<kSide>(shared);
    __syncthreads();
  }

  bf16* const c_matrix = c + tile.matrix * shape.c_stride;
  for (int row = static_cast<int>(threadIdx.x) / kChunks; row < kSide; row += kTensorThreads / kChunks) {
    const bool mine = tile.row + row < n && (!tile.diagonal || chunk >= row / kChunk);
    const uint4 value = load16(shared + chunk_at<kSide>(row, chunk));
    store_chunk<kWhole>(c_matrix + (tile.row + row) * shape.ldc + tile.col + chunk * kChunk, value,
                        mine ? n - tile.col - chunk * kChunk : 0);
  }
  /* Four blocks of eight by eight, one above the other, become 32 entries of each of eight rows of the mirror. */
  for (int group = warp; group < kSide / 32 * kChunks; group += kTensorThreads / kWarp) {
    const int from_row = group / kChunks * 32;
    const int column = group % kChunks;
    uint32_t words[4];
    ldmatrix_x4_trans(words, shared + chunk_at<kSide>(from_row + lane, column));
    const uint4 value = exchange_chunks(words);
    const int row = tile.col + column * kChunk + lane / 4;
    const int col = from_row + lane % 4 * kChunk;
    const bool mine = row < n && (!tile.diagonal || col / kChunk < column);
    store_chunk<kWhole>(c_matrix + row * shape.ldc + tile.row + col, value, mine ? n - tile.row - col : 0);
  }
}

}  // namespace muonium::cuda

#endif
