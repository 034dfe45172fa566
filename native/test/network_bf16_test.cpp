/*
 * network_bf16_test.cpp - the neural network's kernels on arrays of bf16, which only CUDA has: what they store must be the rounding of
 * what the scalar tier makes of the same numbers in FP32 (network_test.cpp checks that one against double). Lengths give both
 * ways of access, 16 bytes and single elements; arrays end at an untouchable page.
 */
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

using test::Guarded;

namespace {

using Floats = std::vector<float>;

std::size_t size(int64_t count) {
  return static_cast<std::size_t>(count);
}

/* The same numbers in bf16, for CUDA, and in FP32, for the oracle. */
struct Both {
  Guarded<uint16_t> half;
  Guarded<float> full;

  Both(int64_t count, uint32_t seed, float spread = 1.0f) : half(size(count)), full(size(count)) {
    const Floats values = test::numbers(test::Kind::kNormal, count, seed);
    for (std::size_t i = 0; i < values.size(); ++i) {
      half[i] = test::to_bf16(values[i] * spread);
      full[i] = test::from_bf16(half[i]);
    }
  }

  /* Half a unit in the last place of a bf16 and what sums in another order may add to it. */
  void check(const char* name, double slack = 2e-6) const {
    double largest = 0;
    for (std::size_t i = 0; i < full.size(); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(full[i])));
    }
    for (std::size_t i = 0; i < full.size(); ++i) {
      const double expected = static_cast<double>(full[i]);
      const double actual = static_cast<double>(test::from_bf16(half[i]));
      if (!(std::fabs(actual - expected) <= 0x1p-8 * std::fabs(expected) + slack * largest)) {
        test::failed(__FILE__, __LINE__,
                     std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(actual) +
                         ", not the rounding of " + std::to_string(expected));
      }
    }
  }
};

/* Sums in FP32 from both: they differ in their order only. */
void check_sums(const char* name, const Guarded<float>& actual, const Guarded<float>& expected) {
  double largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(std::fabs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])) <= 2e-6 * largest)) {
      test::failed(__FILE__, __LINE__,
                   std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(actual[i]) + ", not " +
                       std::to_string(expected[i]));
    }
  }
}

bool same_bits(const Guarded<float>& a, const Guarded<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class Body>
void on_cuda(const Body& body) {
  test::for_each_tier([&](const mu_context* context) {
    if (test::is_cuda(context)) {
      body(context);
    }
  });
}

#define BOTH_OK(function, of_cuda, of_oracle)         \
  do {                                                \
    CHECK_EQUAL(function of_cuda, MU_OK);             \
    CHECK_EQUAL(function of_oracle, MU_OK);           \
  } while (false)

const int64_t kLengths[] = {2, 6, 16, 40, 46, 130, 530, 1032, 4104};
constexpr int64_t kRows = 3;

}  // namespace

MU_TEST(network_bf16, rms_norm_and_its_derivative) {
  on_cuda([](const mu_context* context) {
    for (int64_t cols : kLengths) {
      const test::Scope scope("cols " + std::to_string(cols));
      const Both x(kRows * cols, 1);
      Both y(kRows * cols, 2);
      Guarded<float> rstd(size(kRows));
      Guarded<float> expected_rstd(size(kRows));
      BOTH_OK(mu_rms_norm,
              (context, MU_BF16, x.half.data(), y.half.data(), rstd.data(), 0.01f, cols, 0, kRows),
              (test::oracle(), MU_F32, x.full.data(), y.full.data(), expected_rstd.data(), 0.01f, cols, 0, kRows));
      y.check("y");
      check_sums("rstd", rstd, expected_rstd);
      Both dx(kRows * cols, 3);
      const Both add(kRows * cols, 4);
      BOTH_OK(mu_rms_norm_backward,
              (context, MU_BF16, dx.half.data(), x.half.data(), rstd.data(), add.half.data(), dx.half.data(), cols, 0,
               kRows),
              (test::oracle(), MU_F32, dx.full.data(), x.full.data(), rstd.data(), add.full.data(), dx.full.data(),
               cols, 0, kRows));
      dx.check("dx");
    }
  });
}

MU_TEST(network_bf16, rotary_norm_its_derivative_and_dots_of_heads) {
  on_cuda([](const mu_context* context) {
    for (int64_t dim : {2, 16, 34, 64, 80, 128, 1040}) {
      const test::Scope scope("head_dim " + std::to_string(dim));
      const int64_t heads = 3;
      const int64_t positions = 3;
      const int64_t rows = 5;
      Guarded<float> table(test::numbers(test::Kind::kNormal, positions * dim, 9));
      Both x(rows * heads * dim, 1);
      Both dy(rows * heads * dim, 2);
      Guarded<float> rstd(size(rows * heads));
      Guarded<float> expected_rstd(size(rows * heads));
      BOTH_OK(mu_rotary_norm,
              (context, MU_BF16, x.half.data(), rstd.data(), table.data(), 0.01f, heads, dim, positions, 0, rows),
              (test::oracle(), MU_F32, x.full.data(), expected_rstd.data(), table.data(), 0.01f, heads, dim, positions, 0,
               rows));
      x.check("x");
      check_sums("rstd", rstd, expected_rstd);
      const Both y(rows * heads * dim, 5);
      Guarded<float> dots(size(2 * heads * positions));
      Guarded<float> expected_dots(size(2 * heads * positions));
      BOTH_OK(mu_head_dots,
              (context, MU_BF16, y.half.data(), dy.half.data(), dots.data(), heads, dim, positions, 0, rows),
              (test::oracle(), MU_F32, y.full.data(), dy.full.data(), expected_dots.data(), heads, dim, positions, 0,
               rows));
      check_sums("dots", dots, expected_dots);
      BOTH_OK(mu_rotary_norm_backward,
              (context, MU_BF16, y.half.data(), rstd.data(), table.data(), dy.half.data(), heads, dim, positions, 0,
               rows),
              (test::oracle(), MU_F32, y.full.data(), rstd.data(), table.data(), dy.full.data(), heads, dim, positions,
               0, rows));
      dy.check("dy");
    }
  });
}

MU_TEST(network_bf16, activations_and_their_derivatives) {
  on_cuda([](const mu_context* context) {
    for (int64_t n : kLengths) {
      const test::Scope scope("n " + std::to_string(n));
      Both u(n, 1);
      Both a(n, 2);
      BOTH_OK(mu_relu2, (context, MU_BF16, u.half.data(), a.half.data(), 0, n),
              (test::oracle(), MU_F32, u.full.data(), a.full.data(), 0, n));
      a.check("relu2");
      Both da(n, 3);
      BOTH_OK(mu_relu2_backward, (context, MU_BF16, u.half.data(), da.half.data(), 0, n),
              (test::oracle(), MU_F32, u.full.data(), da.full.data(), 0, n));
      u.check("du");
      da.check("relu2 again");

      Both gate(n, 4, 4.0f);
      Both up(n, 5);
      Both out(n, 6);
      /* The second begins in the middle of 16 bytes. */
      BOTH_OK(mu_swiglu, (context, MU_BF16, gate.half.data(), up.half.data(), out.half.data(), 0, 1),
              (test::oracle(), MU_F32, gate.full.data(), up.full.data(), out.full.data(), 0, 1));
      BOTH_OK(mu_swiglu, (context, MU_BF16, gate.half.data(), up.half.data(), out.half.data(), 1, n),
              (test::oracle(), MU_F32, gate.full.data(), up.full.data(), out.full.data(), 1, n));
      out.check("swiglu");
      Both dout(n, 7);
      BOTH_OK(mu_swiglu_backward, (context, MU_BF16, gate.half.data(), up.half.data(), dout.half.data(), 0, n),
              (test::oracle(), MU_F32, gate.full.data(), up.full.data(), dout.full.data(), 0, n));
      gate.check("dgate");
      up.check("dup");
      dout.check("swiglu again");
    }
  });
}

MU_TEST(network_bf16, cross_entropy_and_its_derivative) {
  on_cuda([](const mu_context* context) {
    for (float cap : {0.0f, 15.0f}) {
      for (int64_t cols : {1, 7, 16, 33, 1001, 4104}) {
        const test::Scope scope("cap " + std::to_string(cap) + ", cols " + std::to_string(cols));
        Both logits(kRows * cols, 1, 3.0f);
        Guarded<int32_t> targets(size(1 + kRows));
        for (int64_t row = 0; row < kRows; ++row) {
          targets[size(1 + row)] = static_cast<int32_t>((cols - 1) * row / 2);
        }
        Guarded<double> losses(size(1 + kRows));
        Guarded<double> expected(size(1 + kRows));
        Both capped = Both(kRows * cols, 1, 3.0f);
        BOTH_OK(mu_cross_entropy,
                (context, MU_BF16, capped.half.data(), cap, targets.data(), losses.data(), 1, cols, 0, kRows),
                (test::oracle(), MU_F32, capped.full.data(), cap, targets.data(), expected.data(), 1, cols, 0, kRows));
        capped.check("capped");
        for (int64_t row = 1; row <= kRows; ++row) {
          CHECK(std::fabs(losses[size(row)] - expected[size(row)]) <= 5e-6);
        }
        Guarded<double> again(size(1 + kRows));
        BOTH_OK(mu_cross_entropy_backward,
                (context, MU_BF16, logits.half.data(), cap, targets.data(), again.data(), 1, 0.25f, cols, 0, kRows),
                (test::oracle(), MU_F32, logits.full.data(), cap, targets.data(), expected.data(), 1, 0.25f, cols, 0,
                 kRows));
        logits.check("gradient");
        for (int64_t row = 1; row <= kRows; ++row) {
          CHECK_EQUAL(again[size(row)], losses[size(row)]);
        }
      }
    }
  });
}

MU_TEST(network_bf16, embedding_rows_come_and_go_in_order) {
  on_cuda([](const mu_context* context) {
    for (int64_t cols : {3, 16, 1032}) {
      const test::Scope scope("cols " + std::to_string(cols));
      const int64_t vocab = 9;
      const int64_t count = 150;
      Guarded<int32_t> tokens(size(count));
      for (int64_t i = 0; i < count; ++i) {
        tokens[size(i)] = static_cast<int32_t>(i % 3 == 0 ? 4 : i * i % vocab);
      }
      const Both table(vocab * cols, 1);
      Both rows(count * cols, 2);
      BOTH_OK(mu_gather_rows,
              (context, MU_BF16, table.half.data(), tokens.data(), rows.half.data(), vocab, cols, 0, count),
              (test::oracle(), MU_F32, table.full.data(), tokens.data(), rows.full.data(), vocab, cols, 0, count));
      for (int64_t i = 0; i < count * cols; ++i) {
        CHECK_EQUAL(test::from_bf16(rows.half[size(i)]), rows.full[size(i)]);
      }
      const Both given(count * cols, 3);
      Both sums(vocab * cols, 4);
      Guarded<float> exact(size(vocab * cols));
      Guarded<float> exact_rows(size(vocab * cols));
      for (std::size_t i = 0; i < exact.size(); ++i) {
        exact[i] = exact_rows[i] = sums.full[i];
      }
      /* In FP32 sums are added up in the same order as on the CPU, to the same bits, whatever the rows are stored in. */
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_BF16, given.half.data(), tokens.data(), count, exact.data(), MU_F32,
                                      cols, 1, 8),
                  MU_OK);
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_F32, given.full.data(), tokens.data(), count, exact_rows.data(),
                                      MU_F32, cols, 1, 8),
                  MU_OK);
      BOTH_OK(mu_scatter_add_rows,
              (context, MU_BF16, given.half.data(), tokens.data(), count, sums.half.data(), MU_BF16, cols, 1, 8),
              (test::oracle(), MU_F32, given.full.data(), tokens.data(), count, sums.full.data(), MU_F32, cols, 1, 8));
      sums.check("sums");
      CHECK(same_bits(exact, sums.full));
      CHECK(same_bits(exact_rows, sums.full));
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_F32, given.full.data(), tokens.data(), count, sums.half.data(),
                                      MU_BF16, cols, 0, 0),
                  MU_OK);
      sums.check("sums that nothing was added to");
    }
  });
}

/* Nothing else on a GPU could tell of a token that no row has. */
MU_TEST(network_bf16, tokens_out_of_range_become_nan_and_touch_nothing) {
  on_cuda([](const mu_context* context) {
    for (const int32_t wrong : {-1, 4, INT32_MAX, INT32_MIN}) {
      const test::Scope scope("token " + std::to_string(wrong));
      const Guarded<int32_t> tokens(std::vector<int32_t>{1, wrong, 3});
      Guarded<float> logits(test::numbers(test::Kind::kNormal, 3 * 4, 1));
      Guarded<double> losses(3);
      CHECK_EQUAL(mu_cross_entropy_backward(context, MU_F32, logits.data(), 0.0f, tokens.data(), losses.data(), 0, 1.0f,
                                            4, 0, 3),
                  MU_OK);
      CHECK(std::isfinite(losses[0]) && std::isnan(losses[1]) && std::isfinite(losses[2]));
      const Guarded<float> table(test::numbers(test::Kind::kNormal, 4 * 4, 2));
      Guarded<float> rows(12);
      CHECK_EQUAL(mu_gather_rows(context, MU_F32, table.data(), tokens.data(), rows.data(), 4, 4, 0, 3), MU_OK);
      for (std::size_t i = 0; i < 12; ++i) {
        CHECK_EQUAL(std::isnan(logits[i]), i / 4 == 1);
        CHECK_EQUAL(std::isnan(rows[i]), i / 4 == 1);
      }
      Guarded<float> sums(Floats(16, 1.0f));
      const Guarded<float> ones(Floats(12, 1.0f));
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_F32, ones.data(), tokens.data(), 3, sums.data(), MU_F32, 4, 0, 4),
                  MU_OK);
      for (std::size_t i = 0; i < 16; ++i) {
        CHECK_EQUAL(sums[i], i / 4 % 2 == 1 ? 2.0f : 1.0f);
      }
    }
  });
}
