/*
 * triangle.h - the tiles of the upper triangle of a square matrix, numbered column by column, (0, 0), (0, 1), (1, 1), (0, 2),
 * ...: neighbours in time share a column's operand and run down the rows of the other.
 */
#ifndef MUONIUM_CUDA_TRIANGLE_H
#define MUONIUM_CUDA_TRIANGLE_H

#include "cuda/device.h"
#include "math/portable.h"

namespace muonium::cuda {

struct TriangleTile {
  unsigned row;
  unsigned col; /* >= row */
};

/* How many tiles come before a column's first. */
MU_MATH uint64_t tiles_before(uint64_t col) {
  return col * (col + 1) / 2;
}

/* The root is off by less than one; the comparisons decide in integers. */
MU_MATH TriangleTile triangle_tile(uint64_t number) {
  const float root = square_root(8.0f * static_cast<float>(number) + 1.0f);
  uint64_t col = static_cast<uint64_t>(0.5f * (root - 1.0f));
  while (tiles_before(col + 1) <= number) {
    ++col;
  }
  while (tiles_before(col) > number) {
    --col;
  }
  return TriangleTile{static_cast<unsigned>(number - tiles_before(col)), static_cast<unsigned>(col)};
}

}  // namespace muonium::cuda

#endif
