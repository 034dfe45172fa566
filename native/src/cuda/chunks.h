/*
 * chunks.h - which array a chunk of work belongs to, and the sums of a block of threads. Kernels that work in chunks have
 * kChunkThreads threads per block; a block takes the chunks blockIdx.x, blockIdx.x + gridDim.x, ...
 */
#ifndef MUONIUM_CUDA_CHUNKS_H
#define MUONIUM_CUDA_CHUNKS_H

#include "cuda/device.h"
#include "muonium.h"

namespace muonium::cuda {

inline constexpr int kChunkThreads = 256;
inline constexpr int kChunkWarps = kChunkThreads / kWarp;
/* Blocks of threads whose sums are added up in a second launch; part of the order of the sum. */
inline constexpr int64_t kSumBlocks = 1024;

inline int64_t chunks_of(int64_t elements) {
  return (elements + MU_CHUNK - 1) / MU_CHUNK;
}

/* As many blocks as there are chunks: the hardware hands them out evenly, whatever each costs. */
inline dim3 grid_of(int64_t chunks) {
  constexpr int64_t most = 0x7fffffff;
  return dim3(static_cast<unsigned>(chunks < most ? chunks : most));
}

/* The elements [begin, begin + count) of an array. */
struct Span {
  int64_t begin;
  int64_t count;
};

MU_DEVICE Span span_of(int64_t elements, int64_t chunk) {
  const int64_t begin = chunk * MU_CHUNK;
  const int64_t left = elements - begin;
  return Span{begin, left < MU_CHUNK ? left : MU_CHUNK};
}

/*
 * The last record with first_chunk <= chunk, which is the one that the chunk belongs to: records without elements have the
 * number of the next. A warp looks at 32 records at a time, so a thousand records take two rounds of loads.
 */
template <class Record>
MU_DEVICE int64_t find_record(const Record* records, int64_t count, int64_t chunk) {
  int64_t low = 0;
  int64_t left = count;
  while (left > 1) {
    const int64_t step = (left + kWarp - 1) / kWarp;
    const int64_t offset = static_cast<int64_t>(lane_index()) * step;
    const uint32_t before = ballot(offset < left && records[low + offset].first_chunk <= chunk);
    const int64_t skipped = static_cast<int64_t>(__popc(before) - 1) * step;
    low += skipped;
    left = left - skipped < step ? left - skipped : step;
  }
  return low;
}

/* The sum over a warp, in every lane: lanes are added in pairs 16, 8, 4, 2 and 1 apart. */
MU_DEVICE double warp_sum(double x) {
#pragma unroll
  for (int apart = kWarp / 2; apart > 0; apart /= 2) {
    x += shuffle_xor(x, apart);
  }
  return x;
}

/* The sum over the block, for thread 0: of each warp, then of the warps in order. All threads call it; room is shared. */
MU_DEVICE double block_sum(double x, double (&room)[kChunkWarps]) {
  const double sum = warp_sum(x);
  __syncthreads(); /* The last call's numbers have been read. */
  if (lane_index() == 0) {
    room[warp_index()] = sum;
  }
  __syncthreads();
  double total = 0.0;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kChunkWarps; ++i) {
      total += room[i];
    }
  }
  return total;
}

}  // namespace muonium::cuda

#endif
