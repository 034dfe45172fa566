/* passes_test.cpp - sums and element-wise passes: against FP64, and every tier against the plain kernels. */
#include <algorithm>
#include <limits>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr mu_type kTypes[] = {MU_F32, MU_BF16};

std::size_t bytes_of(mu_type type) {
  return type == MU_BF16 ? 2 : 4;
}

double sum_of(const mu_context* context, const std::vector<float>& x, mu_type type, int64_t begin, int64_t end) {
  const test::Guarded<std::byte> array(test::as_type(x, type));
  double sum = -1.0;
  CHECK_EQUAL(mu_sum_squares(context, array.data(), type, begin, end, &sum), MU_OK);
  return sum;
}

/* A rows x cols matrix with gaps of 3 after each row but the last. */
struct Matrix {
  int64_t rows;
  int64_t cols;
  int64_t ld;
  mu_type type;
  test::Guarded<std::byte> bytes;

  Matrix(int64_t r, int64_t c, mu_type t, uint32_t seed)
      : rows(r), cols(c), ld(c + 3), type(t),
        bytes(test::as_type(test::numbers(test::Kind::kNormal, (r - 1) * (c + 3) + c, seed), t)) {}

  double at(int64_t i, int64_t j) const { return test::value_at(bytes.data(), type, i * ld + j); }
};

double rounded(double x, mu_type type) {
  const float narrow = static_cast<float>(x);
  return static_cast<double>(type == MU_BF16 ? test::from_bf16(test::to_bf16(narrow)) : narrow);
}

}  // namespace

MU_TEST(passes, sum_of_squares) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_type type : kTypes) {
      for (const test::Kind kind : test::kKinds) {
        for (const int64_t n : test::ragged_sizes()) {
          const std::vector<float> x = test::numbers(kind, n, 11);
          const std::vector<std::byte> stored = test::as_type(x, type);
          for (const int64_t begin : {int64_t{0}, std::min<int64_t>(3, n)}) {
            const double sum = sum_of(context, x, type, begin, n);
            long double expected = 0.0L;
            for (int64_t i = begin; i < n; ++i) {
              const long double value = test::value_at(stored.data(), type, i);
              expected += value * value;
            }
            CHECK(test::is_sum(context, sum, sum_of(test::oracle(), x, type, begin, n)));
            CHECK(std::fabs(static_cast<double>(expected) - sum) <= 1e-13 * static_cast<double>(expected));
          }
        }
      }
    }
  });
}

MU_TEST(passes, sum_of_squares_of_many_numbers) {
  /* More than a GPU has blocks of threads for: each of them takes several chunks. */
  const std::size_t n = 1100 * MU_CHUNK + 5;
  std::vector<uint16_t> x(n);
  double expected = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = test::to_bf16(static_cast<float>(i % 7));
    expected += static_cast<double>(i % 7) * static_cast<double>(i % 7); /* exact */
  }
  test::for_each_tier([&](const mu_context* context) {
    double sum = 0.0;
    CHECK_EQUAL(mu_sum_squares(context, x.data(), MU_BF16, 0, static_cast<int64_t>(n), &sum), MU_OK);
    CHECK_EQUAL(sum, expected);
  });
}

MU_TEST(passes, sum_of_squares_is_finite_exactly_for_finite_input) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> x(1000, std::numeric_limits<float>::max());
    CHECK(std::isfinite(sum_of(context, x, MU_F32, 0, 1000)));
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      for (const std::size_t at : {0u, 500u, 999u}) {
        std::vector<float> one = test::numbers(test::Kind::kNormal, 1000, 1);
        one[at] = bad;
        CHECK(!std::isfinite(sum_of(context, one, MU_F32, 0, 1000)));
      }
    }
  });
}

MU_TEST(passes, scale_and_axpby) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_type x_type : kTypes) {
      for (const mu_type y_type : kTypes) {
        for (const mu_type out_type : kTypes) {
          for (const int64_t cols : {1, 15, 16, 17, 50}) {
            const Matrix x(5, cols, x_type, 1);
            const Matrix y(5, cols, y_type, 2);
            Matrix out(5, cols, out_type, 3);
            const std::vector<std::byte> before = out.bytes.values();
            CHECK_EQUAL(mu_axpby(context, 0.7f, x.bytes.data(), x_type, x.ld, -1.3f, y.bytes.data(), y_type, y.ld,
                                 out.bytes.data(), out_type, out.ld, cols, 1, 5),
                        MU_OK);
            for (int64_t i = 0; i < 5; ++i) {
              for (int64_t j = 0; j < cols; ++j) {
                const float first = 0.7f * static_cast<float>(x.at(i, j));
                const float second = -1.3f * static_cast<float>(y.at(i, j));
                const double expected = i == 0 ? test::value_at(before.data(), out_type, i * out.ld + j)
                                               : rounded(static_cast<double>(first + second), out_type);
                CHECK_EQUAL(out.at(i, j), expected);
              }
            }
            /* The gaps between rows are not ours. */
            for (int64_t i = 0; i < 4; ++i) {
              const std::size_t gap = static_cast<std::size_t>(i * out.ld + cols) * bytes_of(out_type);
              CHECK(std::equal(before.begin() + static_cast<std::ptrdiff_t>(gap),
                               before.begin() + static_cast<std::ptrdiff_t>(gap + 3 * bytes_of(out_type)),
                               out.bytes.data() + gap));
            }
            CHECK_EQUAL(mu_axpby(context, 0.7f, x.bytes.data(), x_type, x.ld, 0.0f, nullptr, y_type, 0,
                                 out.bytes.data(), out_type, out.ld, cols, 0, 5),
                        MU_OK);
            CHECK_EQUAL(out.at(4, cols - 1),
                        rounded(static_cast<double>(0.7f * static_cast<float>(x.at(4, cols - 1))), out_type));
          }
        }
      }
    }
  });
}

MU_TEST(passes, bf16_output_is_the_nearest) {
  test::for_each_tier([](const mu_context* context) {
    for (const test::Kind kind : test::kKinds) {
      for (const int64_t n : test::ragged_sizes()) {
        std::vector<float> x = test::numbers(kind, n, 8);
        x[0] = 3.4e38f; /* rounds to infinity */
        const test::Guarded<float> source(x);
        test::Guarded<uint16_t> out(x.size());
        CHECK_EQUAL(mu_scale(context, 1.0f, source.data(), MU_F32, n, out.data(), MU_BF16, n, n, 0, 1), MU_OK);
        for (std::size_t i = 0; i < x.size(); ++i) {
          CHECK_EQUAL(out[i], test::to_bf16(x[i]));
        }
      }
    }
    std::vector<float> odd(40, std::numeric_limits<float>::quiet_NaN());
    const uint32_t low_payload = 0xff800001u; /* a NaN whose upper half alone would be an infinity */
    std::memcpy(&odd[7], &low_payload, 4);
    std::vector<uint16_t> out(40);
    CHECK_EQUAL(mu_scale(context, 1.0f, odd.data(), MU_F32, 40, out.data(), MU_BF16, 40, 40, 0, 1), MU_OK);
    for (const uint16_t half : out) {
      CHECK(std::isnan(test::from_bf16(half)));
    }
  });
}

MU_TEST(passes, scale_works_in_place) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> x = test::numbers(test::Kind::kNormal, 77, 9);
    const std::vector<float> before = x;
    CHECK_EQUAL(mu_scale(context, 3.0f, x.data(), MU_F32, 77, x.data(), MU_F32, 77, 77, 0, 1), MU_OK);
    for (std::size_t i = 0; i < 77; ++i) {
      CHECK_EQUAL(x[i], 3.0f * before[i]);
    }
  });
}

MU_TEST(passes, mirror) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_type type : kTypes) {
      for (const int64_t n : {1, 2, 31, 32, 33, 100}) {
        Matrix x(n, n, type, 6);
        const std::vector<std::byte> before = x.bytes.values();
        CHECK_EQUAL(mu_mirror_upper(context, x.bytes.data(), type, x.ld, n / 2, n), MU_OK);
        CHECK_EQUAL(mu_mirror_upper(context, x.bytes.data(), type, x.ld, 0, n / 2), MU_OK);
        for (int64_t i = 0; i < n; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            const int64_t from = j < i ? j * x.ld + i : i * x.ld + j;
            CHECK_EQUAL(x.at(i, j), test::value_at(before.data(), type, from));
          }
        }
      }
    }
  });
}
