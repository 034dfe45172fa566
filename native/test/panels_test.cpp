/* panels_test.cpp - matrices in panels: where every entry goes, and products against FP64, however they are cut. */
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr uint16_t kNanHalf = 0x7fff;

int64_t rounded_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

/* The index that muonium.h gives. */
std::size_t index_of(int64_t depth_of_matrix, int64_t row, int64_t depth) {
  const int64_t filled = rounded_up(depth_of_matrix, MU_PANEL_DEPTH);
  return static_cast<std::size_t>(row / 48 * 48 * filled + (depth / 2 * 48 + row % 48) * 2 + depth % 2);
}

/* bf16 numbers, rows x cols, dense. */
struct Dense {
  int64_t rows;
  int64_t cols;
  std::vector<uint16_t> half;

  Dense(int64_t r, int64_t c, uint32_t seed, test::Kind kind = test::Kind::kNormal) : rows(r), cols(c) {
    for (const float x : test::numbers(kind, r * c, seed)) {
      half.push_back(test::to_bf16(x));
    }
  }

  uint16_t bits(int64_t i, int64_t j) const { return half[static_cast<std::size_t>(i * cols + j)]; }
  double at(int64_t i, int64_t j) const { return static_cast<double>(test::from_bf16(bits(i, j))); }
};

using Panels = test::Guarded<uint16_t>;

std::size_t elements(int64_t rows, int64_t depth) {
  return static_cast<std::size_t>(mu_panel_elements(rows, depth));
}

/* In panels that end at a page that cannot be touched; what fills up rows is NaN, for it must not matter. */
Panels packed(const Dense& x, bool transposed = false) {
  const int64_t rows = transposed ? x.cols : x.rows;
  const int64_t depth = transposed ? x.rows : x.cols;
  std::vector<uint16_t> panels(elements(rows, depth), 0);
  for (int64_t i = 0; i < rounded_up(rows, MU_PANEL_ROWS); ++i) {
    for (int64_t j = 0; j < depth; ++j) {
      panels[index_of(depth, i, j)] = i >= rows ? kNanHalf : transposed ? x.bits(j, i) : x.bits(i, j);
    }
  }
  return Panels(panels);
}

Dense symmetric(int64_t n, uint32_t seed) {
  Dense x(n, n, seed);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      x.half[static_cast<std::size_t>(i * n + j)] = x.bits(j, i);
    }
  }
  return x;
}

struct Shape {
  int64_t rows;
  int64_t cols;
  int64_t depth;
};

constexpr Shape kShapes[] = {{1, 1, 1},   {48, 48, 16},  {7, 5, 3},     {49, 95, 33},
                             {64, 17, 2}, {100, 130, 47}, {144, 96, 64}, {50, 61, 2100}};

/* Entry (i, j) of C = c0 I + c1 D + c2 A B^T in FP64, and what rounding to FP32 sums and once to bf16 may add. */
struct Expected {
  double value;
  double bound;
};

Expected expected(const mu_panel_product& of, const Dense& a, const Dense& b, const Dense* d, int64_t i, int64_t j) {
  double sum = 0;
  double size = 0;
  for (int64_t k = 0; k < of.depth; ++k) {
    sum += a.at(i, k) * b.at(j, k);
    size += std::fabs(a.at(i, k) * b.at(j, k));
  }
  const double c1 = d == nullptr ? 0.0 : static_cast<double>(of.c1) * d->at(i, j);
  const double c0 = i == j ? static_cast<double>(of.c0) : 0.0;
  const double value = c0 + c1 + static_cast<double>(of.c2) * sum;
  const double parts = std::fabs(c0) + std::fabs(c1) + std::fabs(static_cast<double>(of.c2)) * size;
  return {value, 0x1p-8 * std::fabs(value) + parts * 0x1p-22 * std::sqrt(static_cast<double>(of.depth) + 4)};
}

void check_entry(uint16_t half, const Expected& expected) {
  const double error = std::fabs(static_cast<double>(test::from_bf16(half)) - expected.value);
  CHECK(error <= expected.bound);
}

/* Each place that C can go to. */
struct Places {
  Panels c;
  Panels c_transposed;
  Panels c_dense;

  explicit Places(const Shape& is)
      : c(elements(is.rows, is.cols)),
        c_transposed(elements(is.cols, is.rows)),
        c_dense(static_cast<std::size_t>((is.rows - 1) * (is.cols + 3) + is.cols)) {
    for (Panels* place : {&c, &c_transposed, &c_dense}) {
      std::fill_n(place->data(), place->size(), kNanHalf);
    }
  }

  void into(mu_panel_product& product) {
    product.c = c.data();
    product.c_transposed = c_transposed.data();
    product.c_dense = c_dense.data();
    product.c_ld = product.cols + 3;
  }
};

mu_panel_product product_of(const Shape& is, const Panels& a, const Panels& b) {
  mu_panel_product product = {};
  product.a = a.data();
  product.b = b.data();
  product.rows = is.rows;
  product.cols = is.cols;
  product.depth = is.depth;
  product.c2 = 1.0f;
  return product;
}

/* What fills up is 0: an odd depth's is multiplied by the next product, all of it is part of sums over the panels. */
void check_filling(const Panels& panels, int64_t rows, int64_t depth) {
  for (int64_t i = 0; i < rounded_up(rows, MU_PANEL_ROWS); ++i) {
    for (int64_t j = i < rows ? depth : 0; j < rounded_up(depth, MU_PANEL_DEPTH); ++j) {
      CHECK_EQUAL(panels[index_of(depth, i, j)] & 0x7fff, 0);
    }
  }
}

void for_each_cpu_tier(const std::function<void(const mu_context*)>& body) {
  test::for_each_tier([&](const mu_context* context) {
    if (!test::is_cuda(context)) {
      body(context);
    }
  });
}

std::string describe(const Shape& is) {
  std::ostringstream out;
  out << is.rows << " x " << is.cols << ", depth " << is.depth;
  return out.str();
}

}  // namespace

MU_TEST(panels, packing_puts_each_entry_in_its_place) {
  for_each_cpu_tier([](const mu_context* context) {
    for (const Shape& is : kShapes) {
      const test::Scope scope(describe(is));
      const Dense x(is.rows, is.cols, 5, test::Kind::kWide);
      const int64_t ld = is.cols + 1;
      Panels dense(static_cast<std::size_t>((is.rows - 1) * ld + is.cols));
      for (int64_t i = 0; i < is.rows; ++i) {
        for (int64_t j = 0; j < is.cols; ++j) {
          dense[static_cast<std::size_t>(i * ld + j)] = x.bits(i, j);
        }
      }
      Panels rows(elements(is.rows, is.cols));
      Panels columns(elements(is.cols, is.rows));
      for (int64_t begin = 0; begin < is.rows; begin += MU_PANEL_ROWS) {
        CHECK_EQUAL(mu_pack_panels(context, 0.5f, dense.data(), ld, is.rows, is.cols, rows.data(), columns.data(), begin,
                                   std::min<int64_t>(begin + MU_PANEL_ROWS, is.rows)),
                    MU_OK);
      }
      for (int64_t i = 0; i < is.rows; ++i) {
        for (int64_t j = 0; j < is.cols; ++j) {
          const double half = 0.5 * x.at(i, j);
          CHECK_EQUAL(static_cast<double>(test::from_bf16(rows[index_of(is.cols, i, j)])), half);
          CHECK_EQUAL(static_cast<double>(test::from_bf16(columns[index_of(is.rows, j, i)])), half);
        }
      }
      check_filling(rows, is.rows, is.cols);
      check_filling(columns, is.cols, is.rows);
    }
  });
}

MU_TEST(panels, products_in_every_form) {
  for_each_cpu_tier([](const mu_context* context) {
    for (const Shape& is : kShapes) {
      const test::Scope scope(describe(is));
      const Dense a(is.rows, is.depth, 1);
      const Dense b(is.cols, is.depth, 2);
      const Panels left = packed(a);
      const Panels right = packed(b);
      Places places(is);
      mu_panel_product product = product_of(is, left, right);
      product.c0 = -3.0f;
      product.c2 = 0.75f;
      places.into(product);
      CHECK_EQUAL(mu_multiply_panels(context, &product, 0, is.rows, 0, is.cols), MU_OK);
      for (int64_t i = 0; i < is.rows; ++i) {
        for (int64_t j = 0; j < is.cols; ++j) {
          const uint16_t entry = places.c[index_of(is.cols, i, j)];
          check_entry(entry, expected(product, a, b, nullptr, i, j));
          CHECK_EQUAL(places.c_transposed[index_of(is.rows, j, i)], entry);
          CHECK_EQUAL(places.c_dense[static_cast<std::size_t>(i * product.c_ld + j)], entry);
        }
        for (int64_t j = is.cols; j < product.c_ld && i + 1 < is.rows; ++j) {
          CHECK_EQUAL(places.c_dense[static_cast<std::size_t>(i * product.c_ld + j)], kNanHalf);
        }
      }
      check_filling(places.c, is.rows, is.cols);
      check_filling(places.c_transposed, is.cols, is.rows);
    }
  });
}

MU_TEST(panels, symmetric_polynomials) {
  for_each_cpu_tier([](const mu_context* context) {
    for (const int64_t n : {1, 5, 47, 48, 50, 97, 150}) {
      const test::Scope scope("n " + std::to_string(n));
      const Shape is = {n, n, n};
      const Dense a = symmetric(n, 3);
      const Panels operand = packed(a);
      Places places(is);
      Panels second(elements(n, n));
      std::fill_n(second.data(), second.size(), kNanHalf);
      mu_panel_product product = product_of(is, operand, operand);
      product.d = operand.data();
      product.w = second.data();
      product.w0 = 0.5f;
      product.w1 = -0.25f;
      product.w2 = 1.5f;
      product.c0 = 3.4445f;
      product.c1 = -4.775f;
      product.c2 = 2.0315f;
      product.c = places.c.data();
      product.symmetric = 1;
      CHECK_EQUAL(mu_multiply_panels(context, &product, 0, n, 0, n), MU_OK);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = i; j < n; ++j) {
          check_entry(places.c[index_of(n, i, j)], expected(product, a, a, &a, i, j));
          CHECK_EQUAL(places.c[index_of(n, j, i)], places.c[index_of(n, i, j)]);
          CHECK_EQUAL(second[index_of(n, j, i)], second[index_of(n, i, j)]);
        }
      }
      check_filling(places.c, n, n);
      check_filling(second, n, n);
      product.c0 = product.w0, product.c1 = product.w1, product.c2 = product.w2;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = i; j < n; ++j) {
          check_entry(second[index_of(n, i, j)], expected(product, a, a, &a, i, j));
        }
      }
    }
  });
}

/* Two polynomials of one symmetric matrix: their product is symmetric but for rounding, and its mirror is exact. */
MU_TEST(panels, products_of_two_symmetric_matrices_are_symmetric_to_the_bit) {
  for_each_cpu_tier([](const mu_context* context) {
    for (const int64_t n : {5, 48, 97, 150}) {
      const test::Scope scope("n " + std::to_string(n));
      const Shape is = {n, n, n};
      const Dense a = symmetric(n, 3);
      const Dense b = symmetric(n, 4);
      const Panels left = packed(a);
      const Panels right = packed(b);
      Places places(is);
      mu_panel_product product = product_of(is, left, right);
      product.c = places.c.data();
      product.symmetric = 1;
      for (int64_t begin = 0; begin < n; begin += 96) {
        const int64_t end = std::min<int64_t>(begin + 96, n);
        CHECK_EQUAL(mu_multiply_panels(context, &product, begin, end, begin, n), MU_OK);
      }
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = i; j < n; ++j) {
          check_entry(places.c[index_of(n, i, j)], expected(product, a, b, nullptr, i, j));
          CHECK_EQUAL(places.c[index_of(n, j, i)], places.c[index_of(n, i, j)]);
        }
      }
    }
  });
}

MU_TEST(panels, the_same_bits_however_products_are_cut) {
  for_each_cpu_tier([](const mu_context* context) {
    const Shape is = {150, 250, 70};
    const Panels left = packed(Dense(is.rows, is.depth, 1));
    const Panels right = packed(Dense(is.cols, is.depth, 2));
    Places whole(is);
    Places cut(is);
    mu_panel_product product = product_of(is, left, right);
    whole.into(product);
    CHECK_EQUAL(mu_multiply_panels(context, &product, 0, is.rows, 0, is.cols), MU_OK);
    cut.into(product);
    for (int64_t col = 0; col < is.cols; col += 96) {
      for (int64_t row = 0; row < is.rows; row += MU_PANEL_ROWS) {
        CHECK_EQUAL(mu_multiply_panels(context, &product, row, std::min(row + MU_PANEL_ROWS, is.rows), col,
                                       std::min<int64_t>(col + 96, is.cols)),
                    MU_OK);
      }
    }
    CHECK(whole.c.values() == cut.c.values());
    CHECK(whole.c_transposed.values() == cut.c_transposed.values());
    CHECK(whole.c_dense.values() == cut.c_dense.values());
  });
}

MU_TEST(panels, wrong_arguments_are_refused) {
  test::for_each_tier([](const mu_context* context) {
    const Shape is = {50, 50, 50};
    const Panels operand = packed(symmetric(50, 1));
    Places places(is);
    if (test::is_cuda(context)) {
      mu_panel_product product = product_of(is, operand, operand);
      CHECK_EQUAL(mu_multiply_panels(context, &product, 0, 50, 0, 50), MU_UNSUPPORTED);
      CHECK_EQUAL(mu_pack_panels(context, 1.0f, operand.data(), 50, 50, 50, nullptr, nullptr, 0, 50), MU_UNSUPPORTED);
      return;
    }
    const auto refused = [&](auto change, const char* named) {
      mu_panel_product product = product_of(is, operand, operand);
      product.c = places.c.data();
      change(product);
      CHECK_EQUAL(mu_multiply_panels(context, &product, 0, product.rows, 0, product.cols), MU_INVALID_ARGUMENT);
      CHECK(std::string(mu_last_error()).find(named) != std::string::npos);
    };
    refused([](mu_panel_product& p) { p.a = nullptr; }, "product->a is NULL");
    refused([](mu_panel_product& p) { p.rows = -1; }, "product->rows is -1");
    refused([](mu_panel_product& p) { p.depth = int64_t{1} << 62; }, "product->rows * product->depth");
    refused([&](mu_panel_product& p) { p.c = operand.data() == p.a ? const_cast<void*>(p.a) : nullptr; }, "operand");
    refused([](mu_panel_product& p) { p.symmetric = 2; }, "symmetric");
    refused([&](mu_panel_product& p) { p.w = places.c_transposed.data(); }, "product->w");
    refused([&](mu_panel_product& p) { p.w = p.c, p.symmetric = 1; }, "product->w");
    refused([](mu_panel_product& p) { p.symmetric = 1, p.cols = 48; }, "square");
    refused([](mu_panel_product& p) { p.c2 = std::numeric_limits<float>::infinity(); }, "product->c2");
    refused([&](mu_panel_product& p) { p.c_dense = places.c_dense.data(), p.c_ld = 49; }, "product->c_ld");
    refused([&](mu_panel_product& p) { p.c_dense = places.c_dense.data(), p.c_ld = 53, p.symmetric = 1; }, "c_dense");
    const mu_panel_product product = product_of(is, operand, operand);
    CHECK_EQUAL(mu_multiply_panels(context, &product, 1, 50, 0, 50), MU_INVALID_ARGUMENT);
    CHECK_EQUAL(mu_multiply_panels(context, &product, 0, 51, 0, 50), MU_INVALID_ARGUMENT);
    CHECK_EQUAL(mu_multiply_panels(context, nullptr, 0, 50, 0, 50), MU_INVALID_ARGUMENT);
    CHECK_EQUAL(mu_pack_panels(context, 1.0f, nullptr, 50, 50, 50, nullptr, nullptr, 0, 50), MU_INVALID_ARGUMENT);
    CHECK_EQUAL(mu_pack_panels(context, 1.0f, operand.data(), 49, 50, 50, nullptr, nullptr, 0, 50),
                MU_INVALID_ARGUMENT);
  });
  CHECK_EQUAL(mu_panel_elements(-1, 5), -1);
  CHECK_EQUAL(mu_panel_elements(49, 17), 96 * 32);
}
