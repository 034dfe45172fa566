/*
 * panels.cpp - products of matrices in panels by vdpbf16ps, which adds the products of two pairs of bf16 to sixteen floats.
 *
 * Both operands are read as they lie: the pairs of sixteen rows of B fill a register, and a pair of A is broadcast. Eight rows
 * of A by 48 of B give 24 sums in registers, for which each pair of depth takes 3 + 8 loads: 24 instructions at two a cycle wait
 * for neither their own latency nor the loads. A result leaves the registers once, in every form in which it is read next, so that
 * no product is ever packed or mirrored by a pass of its own.
 */
#include "cpu/panels.h"

#include <immintrin.h>

namespace muonium::cpu::MU_TIER {
namespace {

/* Rows of A, and registers of B, that are multiplied at a time. */
constexpr int64_t kRows = 8;
constexpr int64_t kLanes = 16;
constexpr int64_t kRegisters = kPanelRows / kLanes;

/* Pairs of depth after which sums are put aside: so much of two panels stays in the second-level cache. */
constexpr int64_t kPairsAtATime = 1024;

/* Bytes of A that stay in the second-level cache while panels of B pass by. */
constexpr int64_t kBytesOfA = 384 * 1024;

using Sums = __m512[kRows][kRegisters];

/* --- multiplying ------------------------------------------------------------------------------------------------- */

template <int kCount>
[[gnu::always_inline]] inline void add_products(Sums& sums, const uint32_t* a, const uint32_t* b, int64_t pairs) {
  for (int64_t k = 0; k < pairs; ++k) {
    __m512bh right[kCount];
#pragma GCC unroll 3
    for (int z = 0; z < kCount; ++z) {
      right[z] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + kLanes * z));
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512bh left = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a[r])));
#pragma GCC unroll 3
      for (int z = 0; z < kCount; ++z) {
        sums[r][z] = _mm512_dpbf16_ps(sums[r][z], left, right[z]);
      }
    }
    a += kPanelRows;
    b += kPanelRows;
  }
}

/* --- storing ----------------------------------------------------------------------------------------------------- */

/* Two rows of sums as bf16, the first in the lower half. */
[[gnu::always_inline]] inline __m512i rounded(__m512 first, __m512 second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

/* Pairs along the columns: to the panels of C, whose rows these are. `to` is at the first column's pair and the first row. */
[[gnu::always_inline]] inline void store_rows(const Sums& sums, int z, uint32_t* to) {
  const __m512i r04 = rounded(sums[0][z], sums[4][z]);
  const __m512i r15 = rounded(sums[1][z], sums[5][z]);
  const __m512i r26 = rounded(sums[2][z], sums[6][z]);
  const __m512i r37 = rounded(sums[3][z], sums[7][z]);
  const __m512i low01 = _mm512_unpacklo_epi32(r04, r15);
  const __m512i low23 = _mm512_unpacklo_epi32(r26, r37);
  const __m512i high01 = _mm512_unpackhi_epi32(r04, r15);
  const __m512i high23 = _mm512_unpackhi_epi32(r26, r37);
  /* Each has, in lanes of 128 bits: rows 0-3 of pair p, rows 0-3 of pair p + 4, rows 4-7 of each. */
  const __m512i pair[4] = {_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
                           _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)};
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    const __m512i apart = _mm512_shuffle_i32x4(pair[p], pair[p], 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + p * kPanelRows), _mm512_castsi512_si256(apart));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (p + 4) * kPanelRows), _mm512_extracti64x4_epi64(apart, 1));
  }
}

/* Pairs along the rows: to the panels of the transpose. `to` is at the first row's pair and the first column. */
[[gnu::always_inline]] inline void store_columns(const Sums& sums, int z, uint32_t* to) {
  const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                              5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
#pragma GCC unroll 4
  for (int p = 0; p < kRows / 2; ++p) {
    const __m512i rows = rounded(sums[2 * p][z], sums[2 * p + 1][z]);
    _mm512_storeu_si512(to + p * kPanelRows, _mm512_permutexvar_epi16(interleave, rows));
  }
}

[[gnu::always_inline]] inline void store_dense(const Sums& sums, int z, uint16_t* to, int64_t ld, int64_t rows,
                                               __mmask16 mask) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    if (r < rows) {
      const __m256i row = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sums[r][z]));
      _mm256_mask_storeu_epi16(to + r * ld, mask, row);
    }
  }
}

/* --- one product ------------------------------------------------------------------------------------------------- */

struct Product {
  const mu_panel_product& of;
  int64_t pairs;        /* that are read */
  int64_t panel;        /* pairs of numbers in a panel of A or B */
  int64_t c_panel;      /* in a panel of C (and D) */
  int64_t t_panel;      /* in a panel of C's transpose */

  explicit Product(const mu_panel_product& product)
      : of(product),
        pairs(pairs_read(product.depth)),
        panel(pairs_of(product.depth) * kPanelRows),
        c_panel(pairs_of(product.cols) * kPanelRows),
        t_panel(pairs_of(product.rows) * kPanelRows) {}

  /* The pair of depth and the row in a panel, of numbers that are pairs. */
  template <class T>
  static T* at(T* panels, int64_t panel, int64_t row, int64_t depth) {
    return panels + row / kPanelRows * panel + depth / 2 * kPanelRows + row % kPanelRows;
  }
};

inline uint32_t* words(void* panels) {
  return static_cast<uint32_t*>(panels);
}

inline const uint32_t* words(const void* panels) {
  return static_cast<const uint32_t*>(panels);
}

/* What a result is of the identity, D and the sums. */
struct Coefficients {
  float c0;
  float c1;
  float c2;
};

/* c0 I + c1 D + c2 sums, with zeros beyond the matrix. */
template <int kCount>
[[gnu::always_inline]] inline void finish(const Product& product, const Coefficients& by, Sums& sums, int64_t row,
                                          int64_t col) {
  const mu_panel_product& of = product.of;
  const __m512 c2 = _mm512_set1_ps(by.c2);
#pragma GCC unroll 3
  for (int z = 0; z < kCount; ++z) {
    if (of.d == nullptr) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sums[r][z] = _mm512_mul_ps(sums[r][z], c2);
      }
    } else {
      /* D is symmetric: the pairs along the depth of its rows `col` are those along the rows of its columns. */
      const uint32_t* d = Product::at(words(of.d), product.c_panel, col + kLanes * z, row);
      const __m512 c1 = _mm512_set1_ps(by.c1);
#pragma GCC unroll 4
      for (int p = 0; p < kRows / 2; ++p) {
        const __m512i pair = _mm512_loadu_si512(d + p * kPanelRows);
        const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
        const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
        sums[2 * p][z] = _mm512_fmadd_ps(sums[2 * p][z], c2, _mm512_mul_ps(even, c1));
        sums[2 * p + 1][z] = _mm512_fmadd_ps(sums[2 * p + 1][z], c2, _mm512_mul_ps(odd, c1));
      }
    }
  }
  const int64_t below = row - col; /* of the diagonal, where it crosses these rows: row r has it in column below + r */
  if (by.c0 != 0.0f && below > -kRows && below < kPanelRows) {
    const __m512 c0 = _mm512_set1_ps(by.c0);
#pragma GCC unroll 3
    for (int z = 0; z < kCount; ++z) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const int64_t lane = below + r - kLanes * z;
        const __mmask16 mask = static_cast<__mmask16>(lane >= 0 && lane < kLanes ? 1u << lane : 0u);
        sums[r][z] = _mm512_mask_add_ps(sums[r][z], mask, sums[r][z], c0);
      }
    }
  }
  if (of.rows - row < kRows || of.cols - col < kLanes * kCount) {
#pragma GCC unroll 3
    for (int z = 0; z < kCount; ++z) {
      const int64_t lanes = of.cols - col - kLanes * z;
      const __mmask16 inside = static_cast<__mmask16>(lanes >= kLanes ? 0xffffu : (1u << lanes) - 1u);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sums[r][z] = _mm512_maskz_mov_ps(row + r < of.rows ? inside : __mmask16{0}, sums[r][z]);
      }
    }
  }
}

/* Into the panels of a symmetric matrix: what lies above the square of 16 on the diagonal goes below it as well. */
template <int kCount>
[[gnu::always_inline]] inline void store_symmetric(const Product& product, const Sums& sums, int64_t row, int64_t col,
                                                   uint32_t* to) {
#pragma GCC unroll 3
  for (int z = 0; z < kCount; ++z) {
    const int64_t at = col + kLanes * z;
    store_rows(sums, z, Product::at(to, product.c_panel, row, at));
    if (at >= row + kRows) {
      store_columns(sums, z, Product::at(to, product.c_panel, at, row));
    }
  }
}

template <int kCount>
[[gnu::always_inline]] inline void store_all(const Product& product, const Sums& sums, int64_t row, int64_t col) {
  const mu_panel_product& of = product.of;
#pragma GCC unroll 3
  for (int z = 0; z < kCount; ++z) {
    const int64_t at = col + kLanes * z;
    if (of.c != nullptr) {
      store_rows(sums, z, Product::at(words(of.c), product.c_panel, row, at));
    }
    if (of.c_transposed != nullptr) {
      store_columns(sums, z, Product::at(words(of.c_transposed), product.t_panel, at, row));
    }
    if (of.c_dense != nullptr) {
      const int64_t lanes = of.cols - at;
      store_dense(sums, z, static_cast<uint16_t*>(of.c_dense) + row * of.c_ld + at, of.c_ld, of.rows - row,
                  static_cast<__mmask16>(lanes >= kLanes ? 0xffffu : (1u << lanes) - 1u));
    }
  }
}

using AsideRows = float[kRows][kRegisters][kLanes];

template <int kCount>
[[gnu::always_inline]] inline void put_aside(const Sums& sums, AsideRows& aside) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int z = 0; z < kCount; ++z) {
      _mm512_storeu_ps(aside[r][z], sums[r][z]);
    }
  }
}

template <int kCount>
[[gnu::always_inline]] inline void take_up(Sums& sums, const AsideRows& aside) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int z = 0; z < kCount; ++z) {
      sums[r][z] = _mm512_loadu_ps(aside[r][z]);
    }
  }
}

/* Eight rows of A by kCount * 16 of B, for the pairs [from, to) of the depth. */
template <int kCount>
[[gnu::noinline]] void eight_rows(const Product& product, int64_t row, int64_t col, int64_t from, int64_t to,
                                  AsideRows& aside) {
  const mu_panel_product& of = product.of;
  Sums sums;
  if (from == 0) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
      for (int z = 0; z < kCount; ++z) {
        sums[r][z] = _mm512_setzero_ps();
      }
    }
  } else {
    take_up<kCount>(sums, aside);
  }
  add_products<kCount>(sums, Product::at(words(of.a), product.panel, row, 2 * from),
                       Product::at(words(of.b), product.panel, col, 2 * from), to - from);
  if (to < product.pairs || of.w != nullptr) {
    put_aside<kCount>(sums, aside);
  }
  if (to < product.pairs) {
    return;
  }
  finish<kCount>(product, {of.c0, of.c1, of.c2}, sums, row, col);
  if (of.symmetric == 0) {
    store_all<kCount>(product, sums, row, col);
    return;
  }
  if (of.c != nullptr) {
    store_symmetric<kCount>(product, sums, row, col, words(of.c));
  }
  if (of.w != nullptr) {
    take_up<kCount>(sums, aside);
    finish<kCount>(product, {of.w0, of.w1, of.w2}, sums, row, col);
    store_symmetric<kCount>(product, sums, row, col, words(of.w));
  }
}

/* Registers that hold the columns [col, cols), at most those of a panel. */
inline int64_t registers_of(int64_t col, int64_t cols) {
  const int64_t count = rounded_up(cols - col, kLanes) / kLanes;
  return count < kRegisters ? count : kRegisters;
}

/* Eight rows by what is left of the panel from `col` on. */
inline void eight_rows(const Product& product, int64_t row, int64_t col, int64_t from, int64_t to,
                       AsideRows& aside) {
  const int64_t end = rounded_up(col + 1, kPanelRows);
  switch (registers_of(col, end < product.of.cols ? end : product.of.cols)) {
    case 3:
      return eight_rows<3>(product, row, col, from, to, aside);
    case 2:
      return eight_rows<2>(product, row, col, from, to, aside);
    default:
      return eight_rows<1>(product, row, col, from, to, aside);
  }
}

/* The lower triangles of the squares of 16 on the diagonal, of which more than the upper ones were computed. */
void mirror_squares(const Product& product, void* panels, int64_t begin) {
  const auto at = [&](int64_t row, int64_t col) {
    return reinterpret_cast<uint16_t*>(Product::at(words(panels), product.c_panel, row, col)) + col % 2;
  };
  for (int64_t square = begin; square < begin + kPanelRows && square < product.of.rows; square += kLanes) {
    const int64_t end = square + kLanes < product.of.rows ? square + kLanes : product.of.rows;
    for (int64_t i = square; i < end; ++i) {
      for (int64_t j = square; j < i; ++j) {
        *at(i, j) = *at(j, i);
      }
    }
  }
}

/*
 * Zeros in what fills up the panel that begins at `row`, of a matrix of rows x depth, along the depths [from, to): eight rows
 * and sixteen depths at a time are stored, or sixteen rows and eight depths.
 */
void fill_up(uint32_t* panels, int64_t panel, int64_t rows, int64_t depth, int64_t row, int64_t from, int64_t to,
             int64_t rows_at_a_time, int64_t depths_at_a_time) {
  const int64_t stored = rounded_up(rows, rows_at_a_time) - row;
  const int64_t deep = rounded_up(depth, depths_at_a_time);
  const int64_t end = rounded_up(to, MU_PANEL_DEPTH) < 2 * pairs_of(depth) ? rounded_up(to, MU_PANEL_DEPTH) : 2 * pairs_of(depth);
  for (int64_t d = from; d < end; d += 2) {
    const int64_t first = d >= deep ? 0 : stored;
    for (int64_t r = first; r < kPanelRows; ++r) {
      Product::at(panels, panel, row, d)[r] = 0;
    }
  }
}

void fill_up(const Product& product, int64_t row, int64_t col) {
  const mu_panel_product& of = product.of;
  const bool last_row = of.rows - row < kPanelRows;
  const bool last_col = of.cols - col < kPanelRows;
  if (!last_row && !last_col) {
    return;
  }
  const int64_t row_end = row + kPanelRows < of.rows ? row + kPanelRows : of.rows;
  const int64_t col_end = col + kPanelRows < of.cols ? col + kPanelRows : of.cols;
  void* const results[] = {of.c, of.w};
  for (void* panels : results) {
    if (panels != nullptr) {
      fill_up(words(panels), product.c_panel, of.rows, of.cols, row, col, col_end, kRows, kLanes);
      if (of.symmetric != 0 && row != col) {
        fill_up(words(panels), product.c_panel, of.cols, of.rows, col, row, row_end, kLanes, kRows);
      }
    }
  }
  if (of.symmetric == 0 && of.c_transposed != nullptr) {
    fill_up(words(of.c_transposed), product.t_panel, of.cols, of.rows, col, row, row_end, kLanes, kRows);
  }
}

/* A panel of A by one of B. On the diagonal of a symmetric C, of each eight rows what is not below their square of 16. */
void panel_by_panel(const Product& product, int64_t row, int64_t col) {
  const mu_panel_product& of = product.of;
  AsideRows aside[kPanelRows / kRows];
  const bool diagonal = of.symmetric != 0 && row == col;
  const int64_t rows = of.rows - row < kPanelRows ? of.rows - row : kPanelRows;
  int64_t from = 0;
  do {
    const int64_t to = product.pairs - from > kPairsAtATime ? from + kPairsAtATime : product.pairs;
    for (int64_t r = 0; r < rows; r += kRows) {
      const int64_t first = diagonal ? r / kLanes * kLanes : 0;
      eight_rows(product, row + r, col + first, from, to, aside[r / kRows]);
    }
    from = to;
  } while (from < product.pairs);
  if (diagonal) {
    void* const results[] = {of.c, of.w};
    for (void* panels : results) {
      if (panels != nullptr) {
        mirror_squares(product, panels, row);
      }
    }
  }
  fill_up(product, row, col);
}

/* --- packing ----------------------------------------------------------------------------------------------------- */

struct Packing {
  const uint16_t* x;
  int64_t ld;
  int64_t rows;
  int64_t cols;
  float factor;
};

[[gnu::always_inline]] inline __m512i scaled(__m512i pairs, float factor) {
  if (factor == 1.0f) {
    return pairs;
  }
  const __m512 scale = _mm512_set1_ps(factor);
  const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  const __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(even, scale))));
  const __m512i high = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(odd, scale))));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Sixteen rows of sixteen words: row i becomes column i. */
[[gnu::always_inline]] inline void transpose(__m512i (&m)[kLanes]) {
  __m512i t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 4) {
    m[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    m[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    m[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    m[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    m[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    m[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    m[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    m[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/* Sixteen rows into the panel in which they stand. */
void pack_rows(const Packing& from, int64_t row, uint32_t* to) {
  const int64_t pairs = pairs_of(from.cols);
  for (int64_t pair = 0; pair < pairs; pair += kLanes) {
    const int64_t left = from.cols - 2 * pair;
    const __mmask32 mask = left >= 2 * kLanes ? ~__mmask32{0} : (__mmask32{1} << left) - 1;
    __m512i words[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      words[r] = row + r < from.rows ? scaled(_mm512_maskz_loadu_epi16(mask, from.x + (row + r) * from.ld + 2 * pair),
                                              from.factor)
                                     : _mm512_setzero_si512();
    }
    transpose(words);
    const int64_t count = pairs - pair < kLanes ? pairs - pair : kLanes;
    for (int64_t p = 0; p < count; ++p) {
      _mm512_storeu_si512(to + (pair + p) * kPanelRows, words[p]);
    }
  }
}

/* Rows row and row + 1, a pair of depth, into the panels of the transpose. */
void pack_pair(const Packing& from, int64_t row, uint32_t* to, int64_t panel) {
  for (int64_t col = 0; col < rounded_up(from.cols, kPanelRows); col += kLanes) {
    const int64_t left = from.cols - col;
    const __mmask16 mask = static_cast<__mmask16>(left >= kLanes ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u);
    const uint16_t* x = from.x + row * from.ld + col;
    const __m256i even = row < from.rows ? _mm256_maskz_loadu_epi16(mask, x) : _mm256_setzero_si256();
    const __m256i odd = row + 1 < from.rows ? _mm256_maskz_loadu_epi16(mask, x + from.ld) : _mm256_setzero_si256();
    const __m512i pairs =
        _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
    _mm512_storeu_si512(to + col / kPanelRows * panel + row / 2 * kPanelRows + col % kPanelRows,
                        scaled(pairs, from.factor));
  }
}

}  // namespace

mu_status pack_panels(const mu_context*, float factor, const void* x, int64_t x_ld, int64_t rows, int64_t cols,
                      void* panels, void* transposed, int64_t row_begin, int64_t row_end) {
  const Packing from{static_cast<const uint16_t*>(x), x_ld, rows, cols, factor};
  if (panels != nullptr) {
    const int64_t panel = pairs_of(cols) * kPanelRows;
    for (int64_t row = row_begin; row < rounded_up(row_end, kPanelRows); row += kLanes) {
      pack_rows(from, row, words(panels) + row / kPanelRows * panel + row % kPanelRows);
    }
  }
  if (transposed != nullptr) {
    const int64_t end = row_end == rows ? rounded_up(rows, MU_PANEL_DEPTH) : row_end;
    for (int64_t row = row_begin; row < end; row += 2) {
      pack_pair(from, row, words(transposed), pairs_of(rows) * kPanelRows);
    }
  }
  return MU_OK;
}

mu_status multiply_panels(const mu_context*, const mu_panel_product* of, int64_t row_begin, int64_t row_end,
                          int64_t col_begin, int64_t col_end) {
  const Product product(*of);
  const int64_t panels = kBytesOfA / (4 * product.panel + 1);
  const int64_t step = kPanelRows * (panels < 1 ? 1 : panels);
  for (int64_t begin = row_begin; begin < row_end; begin += step) {
    const int64_t end = begin + step < row_end ? begin + step : row_end;
    for (int64_t col = of->symmetric != 0 && begin > col_begin ? begin : col_begin; col < col_end; col += kPanelRows) {
      for (int64_t row = begin; row < end && (of->symmetric == 0 || row <= col); row += kPanelRows) {
        panel_by_panel(product, row, col);
      }
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
