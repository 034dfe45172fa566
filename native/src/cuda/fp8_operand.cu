/*
 * fp8_operand.cu - a matrix as an operand of an FP8 product. A block of threads codes tiles of 32 rows x 128 columns of the operand,
 * through shared memory, so that x is read along its rows and codes are written along theirs, whichever is transposed. A warp has
 * four rows, a lane four neighbouring codes of each: one store of 4 bytes, 128 bytes per warp.
 */
#include "cuda/chunks.h"
#include "cuda/launch.h"
#include "cuda/quantized.h"
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

constexpr int kTileRows = 32;
constexpr int kTileCols = 128;
constexpr int kRowsPerWarp = kTileRows / kChunkWarps;
constexpr int kCodesPerLane = kTileCols / kWarp;
/* Tiles of a square of 128 x 128. */
constexpr int kTilesPerSquare = kTileCols / kTileRows;

template <class T>
struct OperandCall {
  const T* x;
  int64_t x_ld;
  /* Of the operand. */
  int64_t rows;
  int64_t cols;
  uint8_t* codes;
  int64_t codes_ld;
  int64_t codes_rows;
  float* scales;
  int64_t scales_ld;
};

/* A column more than there are keeps the transposed writes in different banks. */
struct Shared {
  float tile[kTileRows][kTileCols + 1];
  uint32_t absmax[kChunkWarps];
};

/* All threads call it; what was there before has been read, and what is there now can be, when it returns. */
template <bool transposed, class T>
MU_DEVICE void load_tile(const OperandCall<T>& call, int64_t row_begin, int64_t col_begin, Shared& shared) {
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kTileRows * kTileCols; i += kChunkThreads) {
    const int r = transposed ? i % kTileRows : i / kTileCols;
    const int c = transposed ? i / kTileRows : i % kTileCols;
    const int64_t row = row_begin + r;
    const int64_t col = col_begin + c;
    float value = 0.0f;
    if (row < call.rows && col < call.cols) {
      value = to_float(transposed ? call.x[col * call.x_ld + row] : call.x[row * call.x_ld + col]);
    }
    shared.tile[r][c] = value;
  }
  __syncthreads();
}

/* A lane's four numbers of a row of the tile. */
MU_DEVICE void lane_values(const Shared& shared, int row, float (&x)[kCodesPerLane]) {
#pragma unroll
  for (int i = 0; i < kCodesPerLane; ++i) {
    x[i] = shared.tile[row][static_cast<int>(lane_index()) * kCodesPerLane + i];
  }
}

MU_DEVICE uint32_t lane_absmax(const float (&x)[kCodesPerLane]) {
  uint32_t absmax = 0;
#pragma unroll
  for (int i = 0; i < kCodesPerLane; ++i) {
    absmax = max(absmax, magnitude_bits(x[i]));
  }
  return absmax;
}

/* The codes of a lane's numbers, where the operand or its padding has them. */
template <class F, class T>
MU_DEVICE void store_codes(const OperandCall<T>& call, int64_t row, int64_t col_begin, float scale,
                           const float (&x)[kCodesPerLane]) {
  uint32_t word = 0;
  if (has_codes(scale)) {
#pragma unroll
    for (int i = 0; i < kCodesPerLane; ++i) {
      word |= fp8_encode<F>(x[i], scale) << (8 * i);
    }
  }
  const int64_t col = col_begin + static_cast<int64_t>(lane_index()) * kCodesPerLane;
  if (row < call.codes_rows && col < call.codes_ld) {
    *reinterpret_cast<uint32_t*>(call.codes + row * call.codes_ld + col) = word;
  }
}

/* The greatest over the block of threads, in each of them. */
MU_DEVICE uint32_t block_max(uint32_t value, Shared& shared) {
  const uint32_t of_warp = reduce_max(value);
  if (lane_index() == 0) {
    shared.absmax[warp_index()] = of_warp;
  }
  __syncthreads();
  uint32_t greatest = 0;
#pragma unroll
  for (int i = 0; i < kChunkWarps; ++i) {
    greatest = max(greatest, shared.absmax[i]);
  }
  __syncthreads();
  return greatest;
}

/* scales[1] <- the bits of the greatest magnitude; it is 0 before. A maximum is the same in any order. */
template <bool transposed, class T>
__global__ void __launch_bounds__(kChunkThreads, 4) operand_absmax_kernel(const OperandCall<T> call, int64_t tiles_across,
                                                                       int64_t tiles) {
  __shared__ uint32_t of_warps[kChunkWarps];
  uint32_t absmax = 0;
  for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    const int64_t row_begin = index / tiles_across * kTileRows;
    const int64_t col_begin = index % tiles_across * kTileCols;
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * kTileCols; i += kChunkThreads) {
      const int64_t row = row_begin + (transposed ? i % kTileRows : i / kTileCols);
      const int64_t col = col_begin + (transposed ? i / kTileRows : i % kTileCols);
      if (row < call.rows && col < call.cols) {
        absmax = max(absmax, magnitude_bits(to_float(transposed ? call.x[col * call.x_ld + row]
                                                                : call.x[row * call.x_ld + col])));
      }
    }
  }
  const uint32_t of_warp = reduce_max(absmax);
  if (lane_index() == 0) {
    of_warps[warp_index()] = of_warp;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t greatest = 0;
    for (int i = 0; i < kChunkWarps; ++i) {
      greatest = max(greatest, of_warps[i]);
    }
    atomicMax(reinterpret_cast<unsigned*>(call.scales + 1), greatest);
  }
}

/* One scale for all, from the magnitude that the kernel before left. */
template <class F, bool transposed, class T>
__global__ void __launch_bounds__(kChunkThreads, 4) operand_tensor_kernel(const OperandCall<T> call, int64_t tiles_across,
                                                                       int64_t tiles) {
  __shared__ Shared shared;
  const float scale = fp8_scale<F>(float_bits(call.scales[1]));
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    call.scales[0] = scale;
  }
  for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    const int64_t row_begin = index / tiles_across * kTileRows;
    const int64_t col_begin = index % tiles_across * kTileCols;
    load_tile<transposed>(call, row_begin, col_begin, shared);
    for (int i = 0; i < kRowsPerWarp; ++i) {
      const int row = static_cast<int>(warp_index()) * kRowsPerWarp + i;
      float x[kCodesPerLane];
      lane_values(shared, row, x);
      store_codes<F>(call, row_begin + row, col_begin, scale, x);
    }
  }
}

template <class F, bool transposed, class T>
__global__ void __launch_bounds__(kChunkThreads, 4) operand_vectors_kernel(const OperandCall<T> call, int64_t tiles_across,
                                                                        int64_t tiles) {
  __shared__ Shared shared;
  for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
    const int64_t row_begin = index / tiles_across * kTileRows;
    const int64_t block = index % tiles_across;
    load_tile<transposed>(call, row_begin, block * kTileCols, shared);
    for (int i = 0; i < kRowsPerWarp; ++i) {
      const int in_tile = static_cast<int>(warp_index()) * kRowsPerWarp + i;
      const int64_t row = row_begin + in_tile;
      float x[kCodesPerLane];
      lane_values(shared, in_tile, x);
      const float scale = fp8_scale<F>(reduce_max(lane_absmax(x)));
      store_codes<F>(call, row, block * kTileCols, scale, x);
      if (lane_index() == 0 && row < call.codes_rows) {
        call.scales[row + block * call.scales_ld] = scale;
      }
    }
  }
}

/* A square is read twice, the second time from the cache. */
template <class F, bool transposed, class T>
__global__ void __launch_bounds__(kChunkThreads, 4) operand_squares_kernel(const OperandCall<T> call, int64_t squares_across,
                                                                        int64_t squares) {
  __shared__ Shared shared;
  for (int64_t index = blockIdx.x; index < squares; index += gridDim.x) {
    const int64_t p = index / squares_across;
    const int64_t block = index % squares_across;
    uint32_t absmax = 0;
    float x[kCodesPerLane];
    for (int tile = 0; tile < kTilesPerSquare; ++tile) {
      load_tile<transposed>(call, p * kTileCols + tile * kTileRows, block * kTileCols, shared);
      for (int i = 0; i < kRowsPerWarp; ++i) {
        lane_values(shared, static_cast<int>(warp_index()) * kRowsPerWarp + i, x);
        absmax = max(absmax, lane_absmax(x));
      }
    }
    const float scale = fp8_scale<F>(block_max(absmax, shared));
    for (int tile = 0; tile < kTilesPerSquare; ++tile) {
      const int64_t row_begin = p * kTileCols + tile * kTileRows;
      load_tile<transposed>(call, row_begin, block * kTileCols, shared);
      for (int i = 0; i < kRowsPerWarp; ++i) {
        const int row = static_cast<int>(warp_index()) * kRowsPerWarp + i;
        lane_values(shared, row, x);
        store_codes<F>(call, row_begin + row, block * kTileCols, scale, x);
      }
    }
    if (threadIdx.x == 0) {
      call.scales[block + p * call.scales_ld] = scale;
    }
  }
}

int64_t parts(int64_t extent, int64_t part) {
  return (extent + part - 1) / part;
}

template <class F, bool transposed, class T>
mu_status launch_operand(State& state, mu_scaling scaling, const OperandCall<T>& call) {
  const char* what = "mu_fp8_operand";
  const int64_t across = parts(call.codes_ld, kTileCols);
  const int64_t down = parts(call.codes_rows, scaling == MU_SCALING_SQUARES ? kTileCols : kTileRows);
  const int64_t tiles = across * down;
  const dim3 grid = grid_of(tiles);
  const dim3 threads(kChunkThreads);
  if (scaling == MU_SCALING_VECTORS) {
    return check(launch(operand_vectors_kernel<F, transposed, T>, grid, threads, 0, state.stream, call, across, tiles),
                 what);
  }
  if (scaling == MU_SCALING_SQUARES) {
    return check(launch(operand_squares_kernel<F, transposed, T>, grid, threads, 0, state.stream, call, across, tiles),
                 what);
  }
  mu_status status = check(cudaMemsetAsync(call.scales + 1, 0, sizeof(float), state.stream), what);
  if (status == MU_OK) {
    const int64_t most = kSumBlocks;
    status = check(launch(operand_absmax_kernel<transposed, T>, grid_of(tiles < most ? tiles : most), threads, 0,
                          state.stream, call, across, tiles),
                   what);
  }
  if (status == MU_OK) {
    status = check(launch(operand_tensor_kernel<F, transposed, T>, grid, threads, 0, state.stream, call, across, tiles),
                   what);
  }
  return status;
}

template <class T>
mu_status start_operand(State& state, mu_format format, mu_scaling scaling, bool transposed, const OperandCall<T>& call) {
  if (format == MU_FORMAT_FP8_E4M3) {
    return transposed ? launch_operand<E4M3, true>(state, scaling, call) : launch_operand<E4M3, false>(state, scaling, call);
  }
  return transposed ? launch_operand<E5M2, true>(state, scaling, call) : launch_operand<E5M2, false>(state, scaling, call);
}

}  // namespace

mu_status fp8_operand(const mu_context* context, mu_format format, mu_scaling scaling, int32_t transposed, const void* x,
                      mu_type x_type, int64_t x_ld, int64_t rows, int64_t cols, void* codes, int64_t codes_ld,
                      int64_t codes_rows, float* scales, int64_t scales_ld) {
  State* state = nullptr;
  const mu_status entered = enter(context, "mu_fp8_operand", &state);
  if (entered != MU_OK || codes_ld == 0 || codes_rows == 0) {
    return entered;
  }
  const int64_t operand_rows = transposed != 0 ? cols : rows;
  const int64_t operand_cols = transposed != 0 ? rows : cols;
  uint8_t* const bytes = static_cast<uint8_t*>(codes);
  return x_type == MU_BF16
             ? start_operand(*state, format, scaling, transposed != 0,
                             OperandCall<bf16>{static_cast<const bf16*>(x), x_ld, operand_rows, operand_cols, bytes,
                                               codes_ld, codes_rows, scales, scales_ld})
             : start_operand(*state, format, scaling, transposed != 0,
                             OperandCall<float>{static_cast<const float*>(x), x_ld, operand_rows, operand_cols, bytes,
                                                codes_ld, codes_rows, scales, scales_ld});
}

}  // namespace muonium::cuda
