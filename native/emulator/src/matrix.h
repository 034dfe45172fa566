/* matrix.h - products of column-major matrices of many types with FP32 sums: what cuBLAS and cublasLt have in common. */
#ifndef MUONIUM_EMULATOR_MATRIX_H
#define MUONIUM_EMULATOR_MATRIX_H

#include <cstddef>
#include <cstdint>

namespace muonium::emulator {

/* cudaDataType. */
enum Type : int { kF32 = 0, kF64 = 1, kF16 = 2, kBF16 = 14, kE4M3 = 28, kE5M2 = 29 };

size_t size_of(int type);
float load_element(const void* array, int type, int64_t i);
/* To nearest even; FP8 saturates. */
void store_element(void* array, int type, int64_t i, float value);

/* rows x cols as stored; element (i, j) is data[i + j * ld]. */
struct Matrix {
  const void* data;
  int type;
  int64_t rows;
  int64_t cols;
  int64_t ld;
};

/* The bytes from the first to the last element. */
size_t span_of(const Matrix& matrix);
/* Whether an element of one lies on an element of the other. */
bool overlap(const Matrix& a, const Matrix& b);

/* The scale of block `block` of row i of op(A), or of column i of op(B): data[i / height * outer_stride + block * inner_stride]. */
struct BlockScales {
  const float* data;
  int64_t height;
  int64_t outer_stride;
  int64_t inner_stride;

  float at(int64_t i, int64_t block) const { return data[i / height * outer_stride + block * inner_stride]; }
};

struct Product {
  bool transpose_a;
  bool transpose_b;
  float alpha;
  float beta;
  Matrix a;
  Matrix b;
  /* Read only when beta is not 0. */
  Matrix c;
  /* d <- alpha * op(a) * op(b) + beta * c, times d_scale before it is rounded. */
  Matrix d;
  float d_scale;
  /* Receives the greatest absolute value before d_scale; may be null. */
  float* absmax;
  /* With a scale for each block of 128 along the sum: what a block's sum is multiplied by; else null. */
  const BlockScales* a_scales;
  const BlockScales* b_scales;
};

void multiply(const Product& product);

}  // namespace muonium::emulator

#endif
