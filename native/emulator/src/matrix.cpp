#include "matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "clones.h"

namespace muonium::emulator {
namespace {

float of_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/* A float of 1 sign, `exponent` and `mantissa` bits; the top exponent is for what is not finite unless `finite`. */
float decode_small(uint32_t bits, int exponent, int mantissa, bool finite) {
  const uint32_t sign = bits >> (exponent + mantissa) & 1u;
  const int e = static_cast<int>(bits >> mantissa & ((1u << exponent) - 1));
  const uint32_t m = bits & ((1u << mantissa) - 1);
  const int bias = (1 << (exponent - 1)) - 1;
  float value;
  if (finite ? (bits & ((1u << (exponent + mantissa)) - 1)) == (1u << (exponent + mantissa)) - 1
             : e == (1 << exponent) - 1) {
    value = !finite && m == 0 ? INFINITY : NAN;
  } else if (e == 0) {
    value = std::ldexp(static_cast<float>(m), 1 - bias - mantissa);
  } else {
    value = std::ldexp(static_cast<float>(m | (1u << mantissa)), e - bias - mantissa);
  }
  return sign != 0 ? -value : value;
}

struct Tables {
  std::array<float, 256> e4m3;
  std::array<float, 256> e5m2;
  std::vector<float> f16;
  Tables() : f16(65536) {
    for (uint32_t i = 0; i < 256; ++i) {
      e4m3[i] = decode_small(i, 4, 3, true);
      e5m2[i] = decode_small(i, 5, 2, false);
    }
    for (uint32_t i = 0; i < 65536; ++i) {
      f16[i] = decode_small(i, 5, 10, false);
    }
  }
};

const Tables& tables() {
  static const Tables* const the_ones = new Tables;
  return *the_ones;
}

/* The nearest of the non-negative codes [0, finite], whose values ascend; of two as near the even one. */
uint32_t nearest_code(const float* values, uint32_t finite, float magnitude) {
  const float* above = std::lower_bound(values, values + finite + 1, magnitude);
  const uint32_t high = static_cast<uint32_t>(above - values);
  if (high > finite || high == 0) {
    return high == 0 ? 0 : finite;
  }
  const double up = static_cast<double>(values[high]) - static_cast<double>(magnitude);
  const double down = static_cast<double>(magnitude) - static_cast<double>(values[high - 1]);
  if (up == down) {
    return high % 2 == 0 ? high : high - 1;
  }
  return up < down ? high : high - 1;
}

uint32_t encode(float value, const float* values, uint32_t finite, uint32_t sign, uint32_t nan) {
  const uint32_t negative = std::signbit(value) ? sign : 0;
  return negative | (std::isnan(value) ? nan : nearest_code(values, finite, std::fabs(value)));
}

/* Half precision has infinity: what would round beyond the largest finite number becomes it. */
uint32_t encode_f16(float value) {
  const uint32_t negative = std::signbit(value) ? 0x8000u : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) {
    return 0x7fffu;
  }
  return negative | (magnitude >= 65520.0f ? 0x7c00u : nearest_code(tables().f16.data(), 0x7bff, magnitude));
}

constexpr int64_t kRows = 64;
constexpr int64_t kColumns = 4;
/* Of block scales, along the sum. */
constexpr int64_t kScaledDepth = 128;

/* sums[c][i] += a[p][i] * b[p][c] over p, for 64 rows and 4 columns. */
MU_CLONES
void multiply_panel(const float* a, const float* b, int64_t depth, float* sums) {
  float s0[kRows] = {};
  float s1[kRows] = {};
  float s2[kRows] = {};
  float s3[kRows] = {};
  for (int64_t p = 0; p < depth; ++p) {
    const float* column = a + p * kRows;
    const float b0 = b[p * kColumns];
    const float b1 = b[p * kColumns + 1];
    const float b2 = b[p * kColumns + 2];
    const float b3 = b[p * kColumns + 3];
    for (int64_t i = 0; i < kRows; ++i) {
      s0[i] += column[i] * b0;
      s1[i] += column[i] * b1;
      s2[i] += column[i] * b2;
      s3[i] += column[i] * b3;
    }
  }
  std::memcpy(sums, s0, sizeof s0);
  std::memcpy(sums + kRows, s1, sizeof s1);
  std::memcpy(sums + 2 * kRows, s2, sizeof s2);
  std::memcpy(sums + 3 * kRows, s3, sizeof s3);
}

/* The same, block by block of the depth, each times its scales. */
void multiply_scaled(const Product& product, const float* a, const float* b, int64_t row, int64_t column, int64_t depth,
                     float* sums) {
  std::fill(sums, sums + kRows * kColumns, 0.0f);
  float part[kRows * kColumns];
  for (int64_t p = 0; p < depth; p += kScaledDepth) {
    multiply_panel(a + p * kRows, b + p * kColumns, std::min(kScaledDepth, depth - p), part);
    for (int64_t c = 0; c < std::min(kColumns, product.d.cols - column); ++c) {
      for (int64_t r = 0; r < std::min(kRows, product.d.rows - row); ++r) {
        sums[c * kRows + r] += product.a_scales->at(row + r, p / kScaledDepth) *
                               product.b_scales->at(column + c, p / kScaledDepth) * part[c * kRows + r];
      }
    }
  }
}

/* op(matrix)(i, j) for i in [begin, begin + width) and all j, as packed[j][i - begin] with zeros beyond the last. */
void pack(const Matrix& matrix, bool transpose, int64_t begin, int64_t width, int64_t depth, bool along_rows,
          float* packed) {
  const int64_t limit = transpose == along_rows ? matrix.cols : matrix.rows;
  for (int64_t p = 0; p < depth; ++p) {
    for (int64_t i = 0; i < width; ++i) {
      const int64_t at = begin + i;
      /* along_rows: (at, p) of op(A); else (p, at) of op(B). */
      const int64_t row = along_rows ? at : p;
      const int64_t column = along_rows ? p : at;
      packed[p * width + i] =
          at < limit ? load_element(matrix.data, matrix.type,
                                    transpose ? column + row * matrix.ld : row + column * matrix.ld)
                     : 0.0f;
    }
  }
}

}  // namespace

size_t size_of(int type) {
  switch (type) {
    case kF64:
      return 8;
    case kF32:
      return 4;
    case kF16:
    case kBF16:
      return 2;
    case kE4M3:
    case kE5M2:
      return 1;
    default:
      return 0;
  }
}

float load_element(const void* array, int type, int64_t i) {
  switch (type) {
    case kF32:
      return static_cast<const float*>(array)[i];
    case kBF16:
      return of_bits(static_cast<uint32_t>(static_cast<const uint16_t*>(array)[i]) << 16);
    case kF16:
      return tables().f16[static_cast<const uint16_t*>(array)[i]];
    case kE4M3:
      return tables().e4m3[static_cast<const uint8_t*>(array)[i]];
    case kE5M2:
      return tables().e5m2[static_cast<const uint8_t*>(array)[i]];
    default:
      return NAN;
  }
}

void store_element(void* array, int type, int64_t i, float value) {
  switch (type) {
    case kF32:
      static_cast<float*>(array)[i] = value;
      break;
    case kBF16: {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      static_cast<uint16_t*>(array)[i] = static_cast<uint16_t>(
          std::isnan(value) ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
      break;
    }
    case kF16:
      static_cast<uint16_t*>(array)[i] = static_cast<uint16_t>(encode_f16(value));
      break;
    case kE4M3:
      static_cast<uint8_t*>(array)[i] = static_cast<uint8_t>(encode(value, tables().e4m3.data(), 0x7e, 0x80, 0x7f));
      break;
    case kE5M2:
      static_cast<uint8_t*>(array)[i] = static_cast<uint8_t>(encode(value, tables().e5m2.data(), 0x7b, 0x80, 0x7f));
      break;
    default:
      break;
  }
}

size_t span_of(const Matrix& matrix) {
  if (matrix.rows == 0 || matrix.cols == 0) {
    return 0;
  }
  return static_cast<size_t>((matrix.cols - 1) * matrix.ld + matrix.rows) * size_of(matrix.type);
}

bool overlap(const Matrix& a, const Matrix& b) {
  const char* begin_a = static_cast<const char*>(a.data);
  const char* begin_b = static_cast<const char*>(b.data);
  if (span_of(a) == 0 || span_of(b) == 0 || begin_a + span_of(a) <= begin_b || begin_b + span_of(b) <= begin_a) {
    return false;
  }
  /* The later one's first element within a column of the earlier one? Else they lie side by side in one array. */
  const Matrix& early = begin_a <= begin_b ? a : b;
  const size_t offset = static_cast<size_t>(begin_a <= begin_b ? begin_b - begin_a : begin_a - begin_b);
  const size_t column = static_cast<size_t>(early.ld) * size_of(early.type);
  return offset % column < static_cast<size_t>(early.rows) * size_of(early.type);
}

void multiply(const Product& product) {
  const int64_t m = product.d.rows;
  const int64_t n = product.d.cols;
  const int64_t k = product.transpose_a ? product.a.rows : product.a.cols;
  std::vector<float> panel_b(static_cast<size_t>((n + kColumns - 1) / kColumns * kColumns * std::max<int64_t>(k, 1)));
  for (int64_t j = 0; j < n; j += kColumns) {
    pack(product.b, product.transpose_b, j, kColumns, k, false, panel_b.data() + j * k);
  }
  std::vector<float> panel_a(static_cast<size_t>(kRows * std::max<int64_t>(k, 1)));
  float sums[kRows * kColumns];
  float absmax = 0.0f;
  for (int64_t i = 0; i < m; i += kRows) {
    pack(product.a, product.transpose_a, i, kRows, k, true, panel_a.data());
    for (int64_t j = 0; j < n; j += kColumns) {
      if (product.a_scales == nullptr) {
        multiply_panel(panel_a.data(), panel_b.data() + j * k, k, sums);
      } else {
        multiply_scaled(product, panel_a.data(), panel_b.data() + j * k, i, j, k, sums);
      }
      for (int64_t column = j; column < std::min(n, j + kColumns); ++column) {
        for (int64_t row = i; row < std::min(m, i + kRows); ++row) {
          float value = product.alpha * sums[(column - j) * kRows + row - i];
          if (product.beta != 0.0f) {
            value += product.beta * load_element(product.c.data, product.c.type, row + column * product.c.ld);
          }
          absmax = std::max(absmax, std::fabs(value));
          store_element(const_cast<void*>(product.d.data), product.d.type, row + column * product.d.ld,
                        product.d.type == kF32 ? value : value * product.d_scale);
        }
      }
    }
  }
  if (product.absmax != nullptr) {
    *product.absmax = absmax;
  }
}

}  // namespace muonium::emulator
