/* symmetric_shape.h - what the kernels of mu_symmetric_product are told beside their pointers. */
#ifndef MUONIUM_CUDA_SYMMETRIC_SHAPE_H
#define MUONIUM_CUDA_SYMMETRIC_SHAPE_H

#include <cstdint>

#include "cuda/triangle.h"

namespace muonium::cuda {

struct SymmetricShape {
  int n;
  int k;
  int64_t lda;
  int64_t a_stride;
  int64_t ldb;
  int64_t b_stride;
  int64_t ldd;
  int64_t d_stride;
  int64_t ldc;
  int64_t c_stride;
  int64_t coefficient_stride;
  unsigned tiles; /* of the upper triangle of one matrix; block i works on tile i % tiles of matrix i / tiles */
};

/* Which tile of which matrix a block works on. */
struct SymmetricTile {
  int64_t matrix;
  int row; /* of the tile's first entry */
  int col;
  bool diagonal;
};

MU_DEVICE SymmetricTile symmetric_tile(const SymmetricShape& shape, unsigned block, int side) {
  const TriangleTile tile = triangle_tile(block % shape.tiles);
  return SymmetricTile{static_cast<int64_t>(block / shape.tiles), static_cast<int>(tile.row) * side,
                       static_cast<int>(tile.col) * side, tile.row == tile.col};
}

}  // namespace muonium::cuda

#endif
