/*
 * newton_schulz.cpp - the beginning of Newton-Schulz and its symmetric products, plainly: tiles of the upper triangle whose
 * operands are unpacked to FP32 by depth, and sums over the depth in order. One text for all tiers, and the same bits.
 */
#include "cpu/choose.h"
#include "cpu/common/lanes.h"
#include "math/newton_schulz.h"
#include "math/square_sums.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Tiles of 32 x 32 entries, and as much depth of both operands as fits the first-level cache beside them. */
constexpr int64_t kTile = 2 * kLanes;
constexpr int64_t kDepth = 64;
/* Rows of a tile that are summed in registers at a time: of eight registers' worth, where there are sixteen. */
constexpr int64_t kRows = 4 / kParts;

/* One operand of a tile: kDepth x kTile, filled up with zeros. */
struct Panel {
  float value[kDepth][kTile];
};

/* The entries [begin, begin + kTile) of n at the depths [depth, depth + kDepth) of k. */
template <class T>
void unpack(Panel& panel, const T* x, int64_t ld, bool transposed, int64_t begin, int64_t n, int64_t depth, int64_t k) {
  for (int64_t l = 0; l < kDepth; ++l) {
    for (int64_t i = 0; i < kTile; ++i) {
      const bool inside = begin + i < n && depth + l < k;
      const int64_t at = transposed ? (depth + l) * ld + begin + i : (begin + i) * ld + depth + l;
      panel.value[l][i] = inside ? to_float(x[at]) : 0.0f;
    }
  }
}

void add_product(float (&sum)[kTile][kTile], const Panel& a, const Panel& b, int64_t depth) {
  for (int64_t i = 0; i < kTile; i += kRows) {
    Lanes left[kRows];
    Lanes right[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      left[r] = load(sum[i + r]);
      right[r] = load(sum[i + r] + kLanes);
    }
    for (int64_t l = 0; l < depth; ++l) {
      const Lanes b_left = load(b.value[l]);
      const Lanes b_right = load(b.value[l] + kLanes);
      for (int64_t r = 0; r < kRows; ++r) {
        left[r] += a.value[l][i + r] * b_left;
        right[r] += a.value[l][i + r] * b_right;
      }
    }
    for (int64_t r = 0; r < kRows; ++r) {
      store(sum[i + r], left[r]);
      store(sum[i + r] + kLanes, right[r]);
    }
  }
}

inline void assign(float* out, float x) {
  *out = x;
}

inline void assign(bf16* out, float x) {
  *out = round_to_bf16(x);
}

template <class T>
struct Operands {
  const T* a;
  int64_t lda;
  const T* b;
  int64_t ldb;
  const T* d;
  int64_t ldd;
  T* c;
  int64_t ldc;
  bool transposed;
  int64_t n;
  int64_t k;
};

/* The tile at (row, col), col >= row, and its mirror. */
template <class T>
void tile(const Operands<T>& of, const float* coefficients, int64_t row, int64_t col) {
  float sum[kTile][kTile] = {};
  Panel a;
  Panel b;
  for (int64_t depth = 0; depth < of.k; depth += kDepth) {
    unpack(a, of.a, of.lda, of.transposed, row, of.n, depth, of.k);
    unpack(b, of.b, of.ldb, of.transposed, col, of.n, depth, of.k);
    add_product(sum, a, b, of.k - depth < kDepth ? of.k - depth : kDepth);
  }
  const float c1 = of.d == nullptr ? 0.0f : coefficients[1];
  for (int64_t i = row; i < of.n && i < row + kTile; ++i) {
    for (int64_t j = col > i ? col : i; j < of.n && j < col + kTile; ++j) {
      const float d = of.d == nullptr ? 0.0f : to_float(of.d[i * of.ldd + j]);
      const float entry = polynomial_entry(coefficients[0], c1, coefficients[2], of.d != nullptr, i == j, d,
                                           sum[i - row][j - col]);
      assign(of.c + i * of.ldc + j, entry);
      assign(of.c + j * of.ldc + i, entry);
    }
  }
}

double sum_in_lanes(const double* x, int64_t count) {
  double lanes[kSumLanes] = {};
  for (int64_t i = 0; i < count; ++i) {
    lanes[i % kSumLanes] += x[i];
  }
  return fold_lanes(lanes);
}

}  // namespace

mu_status newton_schulz_begin(const mu_context*, const mu_newton_schulz_start* start, void* x, mu_type type,
                              int64_t elements, int64_t stride, int64_t count, const double* sums,
                              int64_t sums_per_matrix, float* coefficients, const mu_step* step) {
  if (step != nullptr && step->first_non_finite >= 0) {
    return MU_OK;
  }
  return for_type(type, [&]<class T>(T) {
    for (int64_t matrix = 0; matrix < count; ++matrix) {
      const double norm = __builtin_sqrt(sum_in_lanes(sums + matrix * sums_per_matrix, sums_per_matrix));
      const NewtonSchulzBegin begin = newton_schulz_begin_of(*start, norm);
      coefficients[3 * matrix] = begin.a;
      coefficients[3 * matrix + 1] = begin.b;
      coefficients[3 * matrix + 2] = begin.c;
      if (begin.shift != 0) {
        T* values = static_cast<T*>(x) + matrix * stride;
        const float factor = static_cast<float>(power_of_two(begin.shift));
        for (int64_t i = 0; i < elements; ++i) {
          assign(values + i, factor * to_float(values[i]));
        }
      }
    }
    return MU_OK;
  });
}

mu_status symmetric_product(const mu_context*, mu_type type, int32_t transposed, int64_t n, int64_t k, const void* a,
                            int64_t lda, int64_t a_stride, const void* b, int64_t ldb, int64_t b_stride, const void* d,
                            int64_t ldd, int64_t d_stride, void* c, int64_t ldc, int64_t c_stride,
                            const float* coefficients, int64_t coefficient_stride, int64_t count) {
  return for_type(type, [&]<class T>(T) {
    for (int64_t matrix = 0; matrix < count; ++matrix) {
      const T* d_matrix = d == nullptr ? nullptr : static_cast<const T*>(d) + matrix * d_stride;
      const Operands<T> of{static_cast<const T*>(a) + matrix * a_stride,
                           lda,
                           static_cast<const T*>(b) + matrix * b_stride,
                           ldb,
                           d_matrix,
                           ldd,
                           static_cast<T*>(c) + matrix * c_stride,
                           ldc,
                           transposed != 0,
                           n,
                           k};
      for (int64_t row = 0; row < n; row += kTile) {
        for (int64_t col = row; col < n; col += kTile) {
          tile(of, coefficients + matrix * coefficient_stride, row, col);
        }
      }
    }
    return MU_OK;
  });
}

}  // namespace muonium::cpu::MU_TIER
