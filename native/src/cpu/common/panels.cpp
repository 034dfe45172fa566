/*
 * panels.cpp - products of matrices in panels, plainly: one text for the tiers that have no instruction for pairs of bf16, and
 * the oracle of the one that has.
 */
#include "cpu/panels.h"

namespace muonium::cpu::MU_TIER {
namespace {

int64_t index_of(int64_t depth_of_matrix, int64_t row, int64_t depth) {
  const int64_t panel = 2 * pairs_of(depth_of_matrix) * kPanelRows;
  return row / kPanelRows * panel + (depth / 2 * kPanelRows + row % kPanelRows) * 2 + depth % 2;
}

/* One panel of C by one: the sums of all its entries side by side, in the order of the depth. */
void add_products(const mu_panel_product& of, int64_t row, int64_t col, float (&sums)[kPanelRows][kPanelRows]) {
  const bf16* a = static_cast<const bf16*>(of.a) + index_of(of.depth, row, 0);
  const bf16* b = static_cast<const bf16*>(of.b) + index_of(of.depth, col, 0);
  for (int64_t pair = 0; pair < pairs_read(of.depth); ++pair) {
    float even[kPanelRows];
    float odd[kPanelRows];
    for (int64_t j = 0; j < kPanelRows; ++j) {
      even[j] = to_float(b[2 * (pair * kPanelRows + j)]);
      odd[j] = to_float(b[2 * (pair * kPanelRows + j) + 1]);
    }
    for (int64_t i = 0; i < kPanelRows; ++i) {
      const float left = to_float(a[2 * (pair * kPanelRows + i)]);
      const float right = to_float(a[2 * (pair * kPanelRows + i) + 1]);
      for (int64_t j = 0; j < kPanelRows; ++j) {
        sums[i][j] += left * even[j];
        sums[i][j] += right * odd[j];
      }
    }
  }
}

/* What a result is of the identity, D and the sums. */
struct Coefficients {
  float c0;
  float c1;
  float c2;
};

bf16 entry(const mu_panel_product& of, const Coefficients& by, int64_t row, int64_t col, float sum) {
  if (row >= of.rows || col >= of.cols) {
    return bf16{0};
  }
  float value = by.c2 * sum;
  if (of.d != nullptr) {
    value += by.c1 * to_float(static_cast<const bf16*>(of.d)[index_of(of.cols, row, col)]);
  }
  return round_to_bf16(row == col ? value + by.c0 : value);
}

/* Calls body for each entry of a panel by a panel, and what fills them up. */
template <class Body>
void for_entries(int64_t row, int64_t col, const Body& body) {
  for (int64_t i = 0; i < kPanelRows; ++i) {
    for (int64_t j = 0; j < kPanelRows; ++j) {
      body(row + i, col + j, i, j);
    }
  }
}

void store_symmetric(const mu_panel_product& of, void* panels, const Coefficients& by, int64_t row, int64_t col,
                     const float (&sums)[kPanelRows][kPanelRows]) {
  const int64_t depth = rounded_up(of.cols, MU_PANEL_DEPTH);
  for_entries(row, col, [&](int64_t r, int64_t c, int64_t i, int64_t j) {
    const bf16 value = entry(of, by, r, c, sums[i][j]);
    if (c < depth) {
      static_cast<bf16*>(panels)[index_of(of.cols, r, c)] = value;
    }
    if (row != col && r < depth) {
      static_cast<bf16*>(panels)[index_of(of.cols, c, r)] = value;
    }
  });
  if (row == col) {
    for_entries(row, col, [&](int64_t r, int64_t c, int64_t, int64_t) {
      if (c < r && r < depth) {
        static_cast<bf16*>(panels)[index_of(of.cols, r, c)] = static_cast<bf16*>(panels)[index_of(of.cols, c, r)];
      }
    });
  }
}

void store_all(const mu_panel_product& of, int64_t row, int64_t col, const float (&sums)[kPanelRows][kPanelRows]) {
  for_entries(row, col, [&](int64_t r, int64_t c, int64_t i, int64_t j) {
    const bf16 value = entry(of, {of.c0, of.c1, of.c2}, r, c, sums[i][j]);
    if (of.c != nullptr && c < rounded_up(of.cols, MU_PANEL_DEPTH)) {
      static_cast<bf16*>(of.c)[index_of(of.cols, r, c)] = value;
    }
    if (of.c_transposed != nullptr && r < rounded_up(of.rows, MU_PANEL_DEPTH)) {
      static_cast<bf16*>(of.c_transposed)[index_of(of.rows, c, r)] = value;
    }
    if (of.c_dense != nullptr && r < of.rows && c < of.cols) {
      static_cast<bf16*>(of.c_dense)[r * of.c_ld + c] = value;
    }
  });
}

void panel_by_panel(const mu_panel_product& of, int64_t row, int64_t col) {
  float sums[kPanelRows][kPanelRows] = {};
  add_products(of, row, col, sums);
  if (of.symmetric == 0) {
    store_all(of, row, col, sums);
    return;
  }
  if (of.c != nullptr) {
    store_symmetric(of, of.c, {of.c0, of.c1, of.c2}, row, col, sums);
  }
  if (of.w != nullptr) {
    store_symmetric(of, of.w, {of.w0, of.w1, of.w2}, row, col, sums);
  }
}

bf16 packed(const void* x, int64_t index, float factor) {
  const bf16 value = static_cast<const bf16*>(x)[index];
  return factor == 1.0f ? value : round_to_bf16(factor * to_float(value));
}

}  // namespace

mu_status pack_panels(const mu_context*, float factor, const void* x, int64_t x_ld, int64_t rows, int64_t cols,
                      void* panels, void* transposed, int64_t row_begin, int64_t row_end) {
  const auto value = [&](int64_t i, int64_t j) {
    return i < rows && j < cols ? packed(x, i * x_ld + j, factor) : bf16{0};
  };
  if (panels != nullptr) {
    for (int64_t i = row_begin; i < rounded_up(row_end, kPanelRows); ++i) {
      for (int64_t j = 0; j < rounded_up(cols, MU_PANEL_DEPTH); ++j) {
        static_cast<bf16*>(panels)[index_of(cols, i, j)] = value(i, j);
      }
    }
  }
  if (transposed != nullptr) {
    const int64_t end = row_end == rows ? rounded_up(rows, MU_PANEL_DEPTH) : row_end;
    for (int64_t i = row_begin; i < end; ++i) {
      for (int64_t j = 0; j < rounded_up(cols, kPanelRows); ++j) {
        static_cast<bf16*>(transposed)[index_of(rows, j, i)] = value(i, j);
      }
    }
  }
  return MU_OK;
}

mu_status multiply_panels(const mu_context*, const mu_panel_product* of, int64_t row_begin, int64_t row_end,
                          int64_t col_begin, int64_t col_end) {
  for (int64_t row = row_begin; row < row_end; row += kPanelRows) {
    for (int64_t col = of->symmetric != 0 && row > col_begin ? row : col_begin; col < col_end; col += kPanelRows) {
      panel_by_panel(*of, row, col);
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
