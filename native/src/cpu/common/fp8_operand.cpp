/* fp8_operand.cpp - a matrix as an operand of an FP8 product: the plain way, block by block, which the GPU's is held to. */
#include "cpu/choose.h"
#include "math/fp8.h"

namespace muonium::cpu::MU_TIER {
namespace {

constexpr int64_t kBlock = 128;

/* x as the operand sees it; 0 beyond its end. */
template <class T>
struct Operand {
  const T* x;
  int64_t rows;
  int64_t cols;
  int64_t row_stride;
  int64_t col_stride;

  float at(int64_t row, int64_t col) const {
    return row < rows && col < cols ? to_float(x[row * row_stride + col * col_stride]) : 0.0f;
  }
};

/* The codes [row_begin, row_end) x [col_begin, col_end). */
struct Tile {
  int64_t row_begin;
  int64_t row_end;
  int64_t col_begin;
  int64_t col_end;
};

template <class T>
uint32_t absmax_of(const Operand<T>& operand, const Tile& tile) {
  uint32_t absmax = 0;
  for (int64_t row = tile.row_begin; row < tile.row_end; ++row) {
    for (int64_t col = tile.col_begin; col < tile.col_end; ++col) {
      const uint32_t magnitude = magnitude_bits(operand.at(row, col));
      absmax = magnitude > absmax ? magnitude : absmax;
    }
  }
  return absmax;
}

template <class F, class T>
void encode(const Operand<T>& operand, const Tile& tile, float scale, uint8_t* codes, int64_t ld) {
  const bool coded = has_codes(scale);
  for (int64_t row = tile.row_begin; row < tile.row_end; ++row) {
    for (int64_t col = tile.col_begin; col < tile.col_end; ++col) {
      codes[row * ld + col] =
          coded ? static_cast<uint8_t>(fp8_encode<F>(operand.at(row, col), scale)) : uint8_t{0};
    }
  }
}

inline int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

template <class F, class T>
void code_operand(mu_scaling scaling, const Operand<T>& operand, uint8_t* codes, int64_t ld, int64_t rows, float* scales,
                  int64_t scales_ld) {
  if (scaling == MU_SCALING_TENSOR) {
    const Tile all = {0, rows, 0, ld};
    const uint32_t absmax = absmax_of(operand, all);
    scales[0] = fp8_scale<F>(absmax);
    scales[1] = float_of_bits(absmax);
    encode<F>(operand, all, scales[0], codes, ld);
    return;
  }
  const int64_t height = scaling == MU_SCALING_SQUARES ? kBlock : 1;
  for (int64_t row = 0; row < rows; row += height) {
    for (int64_t col = 0; col < ld; col += kBlock) {
      const Tile tile = {row, least(row + height, rows), col, least(col + kBlock, ld)};
      const float scale = fp8_scale<F>(absmax_of(operand, tile));
      const int64_t block = col / kBlock;
      scales[scaling == MU_SCALING_SQUARES ? block + row / kBlock * scales_ld : row + block * scales_ld] = scale;
      encode<F>(operand, tile, scale, codes, ld);
    }
  }
}

}  // namespace

mu_status fp8_operand(const mu_context*, mu_format format, mu_scaling scaling, int32_t transposed, const void* x,
                      mu_type x_type, int64_t x_ld, int64_t rows, int64_t cols, void* codes, int64_t codes_ld,
                      int64_t codes_rows, float* scales, int64_t scales_ld) {
  return for_type(x_type, [&]<class T>(T) {
    const T* values = static_cast<const T*>(x);
    const Operand<T> operand = transposed != 0 ? Operand<T>{values, cols, rows, 1, x_ld}
                                               : Operand<T>{values, rows, cols, x_ld, 1};
    uint8_t* bytes = static_cast<uint8_t*>(codes);
    if (format == MU_FORMAT_FP8_E4M3) {
      code_operand<E4M3>(scaling, operand, bytes, codes_ld, codes_rows, scales, scales_ld);
    } else {
      code_operand<E5M2>(scaling, operand, bytes, codes_ld, codes_rows, scales, scales_ld);
    }
    return MU_OK;
  });
}

}  // namespace muonium::cpu::MU_TIER
