/* attention_shape.h - what the kernels of attention are told beside their pointers, and which part of it a block works on. */
#ifndef MUONIUM_CUDA_ATTENTION_SHAPE_H
#define MUONIUM_CUDA_ATTENTION_SHAPE_H

#include "cuda/device.h"

namespace muonium::cuda {

struct AttentionShape {
  int64_t positions;
  int64_t heads;
  int64_t kv_heads;
  int head_dim;
  float scale;
  int64_t sequence_begin;
  int64_t sequences;

  MU_DEVICE int64_t group() const { return heads / kv_heads; }
  /* From a position to the next, in elements. */
  MU_DEVICE int64_t query_stride() const { return heads * head_dim; }
  MU_DEVICE int64_t key_stride() const { return kv_heads * head_dim; }
  /* Of the first position of a sequence. */
  MU_DEVICE int64_t query_at(int64_t sequence, int64_t head) const {
    return (sequence * positions * heads + head) * head_dim;
  }
  MU_DEVICE int64_t key_at(int64_t sequence, int64_t kv_head) const {
    return (sequence * positions * kv_heads + kv_head) * head_dim;
  }
  /* The same in lse and delta. */
  MU_DEVICE int64_t row_at(int64_t sequence, int64_t head) const { return (sequence * heads + head) * positions; }
};

/* A tile of positions of one head of one sequence. */
struct AttentionTile {
  int64_t tile;
  int64_t sequence;
  int64_t head;
};

/*
 * Blocks are numbered tile by tile, all heads and sequences of a tile together, so that the tiles with the most work come first:
 * the last queries, which see all keys, or the first keys, which all queries see.
 */
MU_DEVICE AttentionTile attention_tile(const AttentionShape& shape, int64_t heads, int64_t tiles, bool last_first) {
  const int64_t pairs = shape.sequences * heads;
  const int64_t number = blockIdx.x;
  const int64_t tile = number / pairs;
  const int64_t pair = number - tile * pairs;
  const int64_t sequence = pair / heads;
  return AttentionTile{last_first ? tiles - 1 - tile : tile, shape.sequence_begin + sequence, pair - sequence * heads};
}

inline int64_t tiles_of(int64_t positions, int64_t tile) {
  return (positions + tile - 1) / tile;
}

}  // namespace muonium::cuda

#endif
