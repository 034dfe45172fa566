/* newton_schulz_test.cpp - the beginning of Newton-Schulz against its formula, symmetric products against FP64. */
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr mu_type kTypes[] = {MU_F32, MU_BF16};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::string name_of(mu_type type) {
  return type == MU_BF16 ? "bf16" : "float";
}

/* --- products -------------------------------------------------------------------------------------------------- */

/* Matrices of rows x cols with gaps of NaN after each row and each matrix: what is not theirs must not be read. */
struct Matrices {
  int64_t rows;
  int64_t cols;
  int64_t ld;
  int64_t stride;
  mu_type type;
  test::Guarded<std::byte> bytes;

  Matrices(int64_t r, int64_t c, int64_t gap, int64_t count, mu_type t, uint32_t seed)
      : rows(r), cols(c), ld(c + gap), stride(rows * ld + 3 * gap), type(t),
        bytes(test::as_type(values(r, c, ld, stride, count, seed), t)) {}

  static std::vector<float> values(int64_t rows, int64_t cols, int64_t ld, int64_t stride, int64_t count,
                                   uint32_t seed) {
    const int64_t last = rows == 0 ? 0 : (rows - 1) * ld + cols;
    const std::vector<float> numbers = test::numbers(test::Kind::kNormal, (count - 1) * stride + last, seed);
    std::vector<float> x(numbers.size(), kNan);
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < cols; ++j) {
          const auto at = static_cast<std::size_t>(k * stride + i * ld + j);
          x[at] = numbers[at];
        }
      }
    }
    return x;
  }

  double at(int64_t k, int64_t i, int64_t j) const {
    return test::value_at(bytes.data(), type, k * stride + i * ld + j);
  }

  /* One matrix, dense, by rows or by columns. */
  std::vector<double> numbers(int64_t k, bool by_columns) const {
    std::vector<double> x(static_cast<std::size_t>(rows * cols));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        x[static_cast<std::size_t>(by_columns ? j * rows + i : i * cols + j)] = at(k, i, j);
      }
    }
    return x;
  }
};

struct Shape {
  int64_t n;
  int64_t k;
};

struct Case {
  Shape shape;
  mu_type type;
  bool transposed;
  bool same;             /* B is A */
  bool with_d;
  int64_t gap;           /* 0 or 8 keeps rows aligned to 16 bytes where the shape does, 3 does not */
  int64_t count;
  int64_t coefficient_stride;
};

std::string describe(const Case& c) {
  std::ostringstream out;
  out << name_of(c.type) << " n " << c.shape.n << " k " << c.shape.k << (c.transposed ? " transposed" : "")
      << (c.same ? " b = a" : "") << (c.with_d ? " with d" : "") << " gap " << c.gap << " count " << c.count
      << " coefficient_stride " << c.coefficient_stride;
  return out.str();
}

mu_status product(const mu_context* context, const Case& is, const Matrices& a, const Matrices& b, const Matrices& d,
                  Matrices& c, const std::vector<float>& coefficients) {
  const test::Guarded<float> guarded(coefficients);
  const Matrices& right = is.same ? a : b;
  return mu_symmetric_product(context, is.type, is.transposed ? 1 : 0, is.shape.n, is.shape.k, a.bytes.data(), a.ld,
                              a.stride, right.bytes.data(), right.ld, right.stride,
                              is.with_d ? d.bytes.data() : nullptr, d.ld, d.stride, c.bytes.data(), c.ld, c.stride,
                              guarded.data(), is.coefficient_stride, is.count);
}

/* Against FP64, within what summing in FP32 and rounding once may be off by; the lower triangle bit by bit the upper's. */
void check_product(const mu_context* context, const Case& is) {
  const test::Scope scope(describe(is));
  const int64_t n = is.shape.n;
  const int64_t k = is.shape.k;
  const int64_t rows = is.transposed ? k : n;
  const int64_t cols = is.transposed ? n : k;
  const Matrices a(rows, cols, is.gap, is.count, is.type, 1);
  const Matrices b(rows, cols, is.gap, is.count, is.type, 2);
  const Matrices d(n, n, is.gap, is.count, is.type, 3);
  Matrices c(n, n, is.gap, is.count, is.type, 4);
  const std::vector<std::byte> before = c.bytes.values();
  std::vector<float> coefficients;
  for (int64_t i = 0; i < (is.coefficient_stride == 0 ? 1 : is.count); ++i) {
    const float sign = i % 2 == 0 ? 1.0f : -1.0f;
    const float parts[] = {3.4445f * sign, is.with_d ? -4.775f + static_cast<float>(i) : kNan, 2.0315f * sign};
    coefficients.insert(coefficients.end(), parts, parts + 3);
  }
  CHECK_EQUAL(product(context, is, a, b, d, c, coefficients), MU_OK);
  const Matrices& right = is.same ? a : b;
  const std::size_t width = is.type == MU_BF16 ? 2 : 4;
  std::vector<bool> written(before.size() / width, false);
  for (int64_t m = 0; m < is.count; ++m) {
    const float* parts = coefficients.data() + m * is.coefficient_stride;
    const std::vector<double> a_rows = a.numbers(m, is.transposed);
    const std::vector<double> b_rows = right.numbers(m, is.transposed);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = i; j < n; ++j) {
        double sum = 0.0;
        double size = 0.0;
        for (int64_t l = 0; l < k; ++l) {
          const double term = a_rows[static_cast<std::size_t>(i * k + l)] * b_rows[static_cast<std::size_t>(j * k + l)];
          sum += term;
          size += std::fabs(term);
        }
        double expected = parts[2] * sum + (i == j ? static_cast<double>(parts[0]) : 0.0);
        double bound = std::fabs(parts[2]) * size + (i == j ? std::fabs(parts[0]) : 0.0f);
        if (is.with_d) {
          expected += parts[1] * d.at(m, i, j);
          bound += std::fabs(parts[1] * d.at(m, i, j));
        }
        const double rounding = is.type == MU_BF16 ? 0x1p-8 : 0x1p-24;
        const double allowed = rounding * std::fabs(expected) + 0x1p-23 * (8.0 + 0.25 * static_cast<double>(k)) * bound;
        const double entry = c.at(m, i, j);
        if (!(std::fabs(entry - expected) <= allowed)) {
          std::ostringstream text;
          text << "matrix " << m << ", entry (" << i << ", " << j << ") is " << entry << ", not " << expected << " +- "
               << allowed;
          test::failed(__FILE__, __LINE__, text.str());
        }
        const auto upper = static_cast<std::size_t>(m * c.stride + i * c.ld + j);
        const auto lower = static_cast<std::size_t>(m * c.stride + j * c.ld + i);
        CHECK(std::memcmp(c.bytes.data() + upper * width, c.bytes.data() + lower * width, width) == 0);
        written[upper] = true;
        written[lower] = true;
      }
    }
  }
  for (std::size_t i = 0; i < written.size(); ++i) {
    CHECK(written[i] || std::memcmp(c.bytes.data() + i * width, before.data() + i * width, width) == 0);
  }
  Matrices again(n, n, is.gap, is.count, is.type, 5);
  CHECK_EQUAL(product(context, is, a, b, d, again, coefficients), MU_OK);
  for (std::size_t i = 0; i < written.size(); ++i) {
    CHECK(!written[i] || std::memcmp(c.bytes.data() + i * width, again.bytes.data() + i * width, width) == 0);
  }
}

/* --- begin ----------------------------------------------------------------------------------------------------- */

constexpr mu_newton_schulz_start kStart = {3.4445, -4.7750, 2.0315, 1.02, 1e-7, MU_NORM_ADD_EPSILON, 0};

/* As the Java side says it, in its own words. */
struct Begin {
  int shift = 0;
  float coefficients[3] = {0.0f, 0.0f, 0.0f};

  Begin(const mu_newton_schulz_start& start, double norm) {
    if (norm == 0.0) {
      return;
    }
    const double scaled = norm * start.norm_factor;
    const double divisor =
        start.convention == MU_NORM_ADD_EPSILON ? scaled + start.epsilon : std::max(scaled, start.epsilon);
    const int exponent = std::ilogb(norm);
    shift = std::abs(exponent) <= 12 ? 0 : std::clamp(-exponent, -126, 126);
    const double s = std::scalbn(1 / divisor, -shift);
    coefficients[0] = static_cast<float>(start.a * s);
    coefficients[1] = static_cast<float>(start.b * s * s * s);
    coefficients[2] = static_cast<float>(start.c * s * s * s * s * s);
  }
};

/* Numbers whose sum is exactly `squares` in any order. */
std::vector<double> parts_of(double squares, int64_t count) {
  std::vector<double> parts(static_cast<std::size_t>(count), 0.0);
  double rest = squares;
  for (std::size_t i = parts.size() - 1; i > 0; --i) {
    parts[i] = squares * 0x1p-10 * static_cast<double>(i % 3);
    rest -= parts[i];
  }
  parts[0] = rest;
  return parts;
}

/* A sum of squares of few digits, so that its parts add up exactly. */
double squares_of(int exponent, double digits) {
  return std::ldexp(digits, 2 * exponent);
}

struct Beginning {
  mu_newton_schulz_start start = kStart;
  mu_type type = MU_F32;
  int64_t elements = 1;
  int64_t gap = 0;
  int64_t sums_per_matrix = 1;
  std::vector<double> squares;
};

void check_begin(const mu_context* context, const Beginning& is) {
  const auto count = static_cast<int64_t>(is.squares.size());
  const int64_t stride = is.elements + is.gap;
  std::vector<float> values = test::numbers(test::Kind::kNormal, (count - 1) * stride + is.elements, 7);
  std::vector<double> sums;
  for (const double squares : is.squares) {
    const std::vector<double> parts = parts_of(squares, is.sums_per_matrix);
    sums.insert(sums.end(), parts.begin(), parts.end());
  }
  const test::Guarded<double> guarded_sums(sums);
  test::Guarded<std::byte> x(test::as_type(values, is.type));
  const std::vector<std::byte> before = x.values();
  test::Guarded<float> coefficients(std::vector<float>(3 * is.squares.size(), kNan));
  const std::vector<mu_step> left_out = {{1.0, 1.0, 1e-6, 0, 0.0, 1.0, 1.0, 2}};
  const test::Guarded<mu_step> skip(left_out);
  CHECK_EQUAL(mu_newton_schulz_begin(context, &is.start, x.data(), is.type, is.elements, stride, count,
                                     guarded_sums.data(), is.sums_per_matrix, coefficients.data(), skip.data()),
              MU_OK);
  CHECK(std::memcmp(x.data(), before.data(), before.size()) == 0);
  CHECK(std::isnan(coefficients[0]));
  std::vector<mu_step> taken = left_out;
  taken[0].first_non_finite = -1;
  const test::Guarded<mu_step> go(taken);
  CHECK_EQUAL(mu_newton_schulz_begin(context, &is.start, x.data(), is.type, is.elements, stride, count,
                                     guarded_sums.data(), is.sums_per_matrix, coefficients.data(),
                                     is.elements % 2 == 0 ? go.data() : nullptr),
              MU_OK);
  for (int64_t k = 0; k < count; ++k) {
    const Begin expected(is.start, std::sqrt(is.squares[static_cast<std::size_t>(k)]));
    for (int64_t i = 0; i < 3; ++i) {
      CHECK_EQUAL(coefficients[static_cast<std::size_t>(3 * k + i)], expected.coefficients[i]);
    }
    for (int64_t i = 0; i < stride && k * stride + i < (count - 1) * stride + is.elements; ++i) {
      const int shift = i < is.elements ? expected.shift : 0;
      const double was = test::value_at(before.data(), is.type, k * stride + i);
      const auto expected_value = static_cast<float>(std::scalbn(was, shift)); /* subnormal floats are rounded */
      CHECK_EQUAL(test::value_at(x.data(), is.type, k * stride + i), static_cast<double>(expected_value));
    }
  }
}

mu_status refused_begin(const std::function<void(mu_newton_schulz_start&, int64_t&, int64_t&, const double*&)>& spoil) {
  mu_newton_schulz_start start = kStart;
  int64_t elements = 4;
  int64_t stride = 4;
  const double sums[2] = {1.0, 4.0};
  const double* sums_in = sums;
  float x[8] = {};
  float coefficients[6] = {};
  spoil(start, elements, stride, sums_in);
  return mu_newton_schulz_begin(test::oracle(), &start, x, MU_F32, elements, stride, 2, sums_in, 1, coefficients,
                                nullptr);
}

struct ProductCall {
  mu_type type = MU_F32;
  int64_t n = 4;
  int64_t k = 3;
  int32_t transposed = 0;
  int64_t lda = 4;
  int64_t a_stride = 16;
  int64_t c_stride = 16;
  int64_t ldc = 4;
  int64_t count = 2;
  int64_t coefficient_stride = 0;
  float* d = nullptr;
  float* c = nullptr;
  const float* coefficients = nullptr;
};

mu_status refused_product(const std::function<void(ProductCall&)>& spoil) {
  float a[32] = {};
  float c[32] = {};
  const float coefficients[3] = {0.0f, 0.0f, 1.0f};
  ProductCall call;
  call.c = c;
  call.coefficients = coefficients;
  spoil(call);
  return mu_symmetric_product(test::oracle(), call.type, call.transposed, call.n, call.k, a, call.lda, call.a_stride, a,
                              call.lda, call.a_stride, call.d, call.n, call.c_stride, call.c, call.ldc, call.c_stride,
                              call.coefficients, call.coefficient_stride, call.count);
}

bool says(const char* words) {
  return std::string(mu_last_error()).find(words) != std::string::npos;
}

}  // namespace

MU_TEST(newton_schulz, products_of_ragged_shapes) {
  const Shape shapes[] = {{1, 1}, {1, 200}, {7, 63}, {63, 7}, {64, 64}, {128, 32}, {129, 65}, {200, 129}, {130, 0}};
  test::for_each_tier([&](const mu_context* context) {
    int number = 0;
    for (const Shape shape : shapes) {
      for (const mu_type type : kTypes) {
        for (const bool transposed : {false, true}) {
          for (const bool with_d : {false, true}) {
            const bool odd = ++number % 2 == 0;
            check_product(context, Case{shape, type, transposed, !with_d, with_d, odd ? 3 : 0, 1, 0});
          }
        }
      }
    }
  });
}

MU_TEST(newton_schulz, products_of_many_matrices) {
  test::for_each_tier([&](const mu_context* context) {
    for (const mu_type type : kTypes) {
      for (const bool transposed : {false, true}) {
        for (const int64_t gap : {int64_t{0}, int64_t{1}, int64_t{8}}) {
          for (const int64_t coefficient_stride : {int64_t{0}, int64_t{3}}) {
            check_product(context, Case{{72, 40}, type, transposed, gap == 1, true, gap, 3, coefficient_stride});
          }
        }
      }
    }
  });
}

/* So many tiles that a device of 190 multiprocessors takes the large ones, which the CPU does not have. */
MU_TEST(newton_schulz, products_of_so_many_matrices_that_they_fill_a_device) {
  test::for_each_tier([&](const mu_context* context) {
    for (const bool transposed : {false, true}) {
      check_product(context,
                    Case{{200, 104}, MU_BF16, transposed, false, true, 0, test::is_cuda(context) ? 128 : 2, 3});
    }
  });
}

MU_TEST(newton_schulz, products_of_nothing_do_nothing) {
  test::for_each_tier([](const mu_context* context) {
    float c[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    const float a[4] = {};
    const float coefficients[3] = {1.0f, 0.0f, 1.0f};
    CHECK_EQUAL(mu_symmetric_product(context, MU_F32, 0, 0, 2, a, 2, 4, a, 2, 4, nullptr, 0, 0, c, 2, 4, coefficients,
                                     0, 1),
                MU_OK);
    CHECK_EQUAL(mu_symmetric_product(context, MU_F32, 0, 2, 2, a, 2, 4, a, 2, 4, nullptr, 0, 0, c, 2, 4, coefficients,
                                     0, 0),
                MU_OK);
    CHECK_EQUAL(c[0], 1.0f);
    CHECK_EQUAL(c[3], 4.0f);
  });
}

MU_TEST(newton_schulz, begins_with_norms_near_one_huge_and_tiny) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_norm_convention convention : {MU_NORM_ADD_EPSILON, MU_NORM_MAX_EPSILON}) {
      for (const mu_type type : kTypes) {
        for (const int64_t elements : {int64_t{1}, int64_t{7}, int64_t{64}, int64_t{5003}}) {
          for (const int64_t sums_per_matrix : {int64_t{1}, int64_t{5}, int64_t{70}}) {
            std::ostringstream text;
            text << name_of(type) << " elements " << elements << " sums_per_matrix " << sums_per_matrix
                 << " convention " << convention;
            const test::Scope scope(text.str());
            Beginning is;
            is.start.convention = convention;
            is.type = type;
            is.elements = elements;
            is.gap = elements % 3;
            is.sums_per_matrix = sums_per_matrix;
            is.squares = {squares_of(0, 1.5),     0.0,
                          squares_of(12, 1.0),    squares_of(12, 3.5),
                          squares_of(13, 1.0),    squares_of(-12, 1.0),
                          squares_of(-13, 3.5),   squares_of(-24, 1.25),
                          squares_of(100, 1.125), squares_of(-100, 3.0)};
            check_begin(context, is);
          }
        }
      }
    }
  });
}

MU_TEST(newton_schulz, begins_beyond_what_one_power_of_two_can_undo) {
  test::for_each_tier([](const mu_context* context) {
    Beginning is;
    is.elements = 33;
    is.squares = {squares_of(127, 2.0), squares_of(130, 1.0), squares_of(-126, 1.0), squares_of(-149, 1.0)};
    for (const double epsilon : {0.0, 1e-7}) {
      is.start.epsilon = epsilon;
      check_begin(context, is);
    }
  });
}

MU_TEST(newton_schulz, a_norm_that_is_not_finite_is_seen_in_the_coefficients) {
  test::for_each_tier([](const mu_context* context) {
    for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      float x[2] = {1.0f, 2.0f};
      float coefficients[3] = {};
      CHECK_EQUAL(mu_newton_schulz_begin(context, &kStart, x, MU_F32, 2, 2, 1, &bad, 1, coefficients, nullptr), MU_OK);
      CHECK(std::isnan(coefficients[0]) && std::isnan(coefficients[1]) && std::isnan(coefficients[2]));
      CHECK_EQUAL(x[1], 2.0f);
    }
  });
}

MU_TEST(newton_schulz, wrong_arguments_are_refused) {
  using Start = mu_newton_schulz_start;
  const auto begin = [](const auto& spoil) {
    CHECK_EQUAL(refused_begin(spoil), MU_INVALID_ARGUMENT);
  };
  CHECK_EQUAL(refused_begin([](Start&, int64_t&, int64_t&, const double*&) {}), MU_OK);
  begin([](Start& s, int64_t&, int64_t&, const double*&) { s.b = kNan; });
  CHECK(says("start->b is nan"));
  begin([](Start& s, int64_t&, int64_t&, const double*&) { s.norm_factor = 0.0; });
  CHECK(says("norm_factor is 0"));
  begin([](Start& s, int64_t&, int64_t&, const double*&) { s.epsilon = -1.0; });
  CHECK(says("epsilon is negative"));
  begin([](Start& s, int64_t&, int64_t&, const double*&) { s.convention = 2; });
  CHECK(says("convention is not"));
  begin([](Start&, int64_t& elements, int64_t&, const double*&) { elements = -1; });
  CHECK(says("elements is -1"));
  begin([](Start&, int64_t&, int64_t& stride, const double*&) { stride = 3; });
  CHECK(says("stride is 3, less than elements 4"));
  begin([](Start&, int64_t&, int64_t&, const double*& sums) { sums = nullptr; });
  CHECK(says("sums is NULL"));

  const auto product = [](const std::function<void(ProductCall&)>& spoil, const char* words) {
    CHECK_EQUAL(refused_product(spoil), MU_INVALID_ARGUMENT);
    const test::Scope scope(mu_last_error());
    CHECK(says(words));
  };
  CHECK_EQUAL(refused_product([](ProductCall&) {}), MU_OK);
  product([](ProductCall& c) { c.type = test::any_number<mu_type>(5); }, "type is 5");
  product([](ProductCall& c) { c.n = -1; }, "n is -1");
  product([](ProductCall& c) { c.k = -1; }, "k is -1");
  product([](ProductCall& c) { c.count = -1; }, "count is -1");
  product([](ProductCall& c) { c.lda = 2; }, "lda is 2, less than k 3");
  product([](ProductCall& c) { c.lda = 3; c.transposed = 1; }, "lda is 3, less than n 4");
  product([](ProductCall& c) { c.a_stride = -1; }, "a_stride is -1");
  product([](ProductCall& c) { c.ldc = 3; }, "ldc is 3, less than n 4");
  product([](ProductCall& c) { c.c_stride = 15; }, "c_stride is 15");
  product([](ProductCall& c) { c.c = nullptr; }, "c is NULL");
  product([](ProductCall& c) { c.d = c.c; }, "c is d");
  product([](ProductCall& c) { c.coefficients = nullptr; }, "coefficients is NULL");
  product([](ProductCall& c) { c.coefficient_stride = -3; }, "coefficient_stride is -3");
  product([](ProductCall& c) { c.lda = int64_t{1} << 60; }, "2^60");
}
