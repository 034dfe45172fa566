/*
 * network_test.cpp - every kernel of the neural network in FP32 against its formula in double, in every tier and on the emulated
 * CUDA backend, for lengths around the sixteen lanes and the pieces that threads hold, with arrays that end at an untouchable
 * page. The tiers must agree to the bit, CUDA with them within a few ulp. network_bf16_test.cpp has what is stored in bf16.
 */
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "tiers.h"

using test::Guarded;

namespace {

using Doubles = std::vector<double>;
using Floats = std::vector<float>;

Floats random_floats(std::size_t count, unsigned seed, float spread = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  Floats values(count);
  for (float& value : values) {
    value = normal(generator);
  }
  return values;
}

Doubles widen(const Floats& x) {
  return Doubles(x.begin(), x.end());
}

/* Within `tolerance` of the largest magnitude that is expected. */
void check_near(const Guarded<float>& actual, const Doubles& expected, double tolerance) {
  CHECK_EQUAL(actual.size(), expected.size());
  double largest = 1e-30;
  for (double value : expected) {
    largest = std::max(largest, std::fabs(value));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(std::fabs(static_cast<double>(actual[i]) - expected[i]) <= tolerance * largest)) {
      test::failed(__FILE__, __LINE__,
                   "element " + std::to_string(i) + " is " + std::to_string(actual[i]) + ", not " +
                       std::to_string(expected[i]));
    }
  }
}

/* What the first tier gave is what the others must give; CUDA's exp, tanh and sums differ in the last bits. */
class SameBits final {
 public:
  void see(const Guarded<float>& values) {
    if (next_ == seen_.size()) {
      seen_.push_back(values.values());
    }
    if (cuda_) {
      check_near(values, widen(seen_[next_]), 2e-6);
    } else {
      CHECK(seen_[next_] == values.values());
    }
    ++next_;
  }
  void next_tier(const mu_context* context) {
    next_ = 0;
    cuda_ = test::is_cuda(context);
  }

 private:
  std::vector<Floats> seen_;
  std::size_t next_ = 0;
  bool cuda_ = false;
};

/* body(context, same) in every tier. */
template <class Body>
void in_every_tier(const Body& body) {
  SameBits same;
  test::for_each_tier([&](const mu_context* context) {
    same.next_tier(context);
    body(context, same);
  });
}

const int64_t kLengths[] = {2, 6, 14, 16, 18, 32, 46, 80};
/* Rows that a warp cannot hold, or four: single elements up to 128 and 512, pieces of four up to 512 and 2048. */
const int64_t kRowLengths[] = {2, 6, 14, 16, 18, 32, 46, 80, 130, 520, 530, 2064};
constexpr int64_t kRows = 3;
constexpr double kTight = 1e-6;

std::size_t size(int64_t count) {
  return static_cast<std::size_t>(count);
}

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

MU_TEST(network, rms_norm_is_its_formula) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t cols : kRowLengths) {
      const test::Scope scope("cols " + std::to_string(cols));
      const Floats values = random_floats(size(kRows * cols), 1);
      const Guarded<float> x(values);
      Guarded<float> y(size(kRows * cols));
      Guarded<float> rstd(size(kRows));
      CHECK_EQUAL(mu_rms_norm(context, MU_F32, x.data(), y.data(), rstd.data(), 0.01f, cols, 0, 1), MU_OK);
      CHECK_EQUAL(mu_rms_norm(context, MU_F32, x.data(), y.data(), rstd.data(), 0.01f, cols, 1, kRows), MU_OK);
      Doubles expected = widen(values);
      Doubles expected_rstd;
      for (int64_t row = 0; row < kRows; ++row) {
        double squares = 0;
        for (int64_t i = 0; i < cols; ++i) {
          squares += expected[size(row * cols + i)] * expected[size(row * cols + i)];
        }
        expected_rstd.push_back(1 / std::sqrt(squares / static_cast<double>(cols) + static_cast<double>(0.01f)));
        for (int64_t i = 0; i < cols; ++i) {
          expected[size(row * cols + i)] *= expected_rstd.back();
        }
      }
      check_near(y, expected, kTight);
      check_near(rstd, expected_rstd, kTight);
      same.see(y);
    }
  });
}

MU_TEST(network, rms_norm_backward_is_the_derivative) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t cols : kRowLengths) {
      const test::Scope scope("cols " + std::to_string(cols));
      const Floats xs = random_floats(size(cols), 1);
      const Floats dys = random_floats(size(cols), 2);
      const Floats adds = random_floats(size(cols), 3);
      const Guarded<float> x(xs);
      const Guarded<float> add(adds);
      Guarded<float> y(size(cols));
      Guarded<float> rstd(1);
      CHECK_EQUAL(mu_rms_norm(context, MU_F32, x.data(), y.data(), rstd.data(), 0.1f, cols, 0, 1), MU_OK);
      /* d/dx_j of sum_i dy_i * x_i * r, with dr/dx_j = -r^3 * x_j / cols */
      const double r = static_cast<double>(rstd[0]);
      double inner = 0;
      for (std::size_t i = 0; i < size(cols); ++i) {
        inner += static_cast<double>(dys[i]) * static_cast<double>(xs[i]);
      }
      Doubles expected;
      Doubles with_add;
      for (std::size_t j = 0; j < size(cols); ++j) {
        expected.push_back(static_cast<double>(dys[j]) * r -
                           inner * r * r * r * static_cast<double>(xs[j]) / static_cast<double>(cols));
        with_add.push_back(expected.back() + static_cast<double>(adds[j]));
      }
      Guarded<float> dx(dys);
      CHECK_EQUAL(mu_rms_norm_backward(context, MU_F32, dx.data(), x.data(), rstd.data(), add.data(), dx.data(), cols, 0, 1),
                  MU_OK);
      check_near(dx, with_add, kTight);
      Guarded<float> alone(dys);
      CHECK_EQUAL(
          mu_rms_norm_backward(context, MU_F32, alone.data(), x.data(), rstd.data(), nullptr, alone.data(), cols, 0, 1), MU_OK);
      check_near(alone, expected, kTight);
      same.see(dx);
    }
  });
}

MU_TEST(network, rotary_norm_turns_then_normalizes_and_back) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t dim : kLengths) {
      const test::Scope scope("head_dim " + std::to_string(dim));
      const int64_t heads = 3;
      const int64_t positions = 2;
      const int64_t rows = 5;
      const int64_t half = dim / 2;
      Floats turns(size(positions * dim));
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t i = 0; i < half; ++i) {
          const float angle = static_cast<float>(p + 1) * 0.3f / static_cast<float>(i + 1);
          turns[size(p * dim + i)] = std::cos(angle);
          turns[size(p * dim + half + i)] = std::sin(angle);
        }
      }
      const Floats xs = random_floats(size(rows * heads * dim), 1);
      const Floats dys = random_floats(size(rows * heads * dim), 2);
      const Guarded<float> table(turns);
      Guarded<float> y(xs);
      Guarded<float> rstd(size(rows * heads));
      Guarded<float> dx(dys);
      CHECK_EQUAL(mu_rotary_norm(context, MU_F32, y.data(), rstd.data(), table.data(), 0.01f, heads, dim, positions, 0, rows),
                  MU_OK);
      CHECK_EQUAL(mu_rotary_norm_backward(context, MU_F32, y.data(), rstd.data(), table.data(), dx.data(), heads, dim,
                                          positions, 0, rows),
                  MU_OK);
      Doubles expected = widen(xs);
      Doubles expected_dx = widen(dys);
      for (int64_t head = 0; head < rows * heads; ++head) {
        const float* turn = turns.data() + (head / heads % positions) * dim;
        double* v = expected.data() + head * dim;
        double* g = expected_dx.data() + head * dim;
        double squares = 0;
        for (int64_t i = 0; i < half; ++i) {
          const double a = v[i];
          const double b = v[half + i];
          const double c = static_cast<double>(turn[i]);
          const double s = static_cast<double>(turn[half + i]);
          v[i] = a * c - b * s;
          v[half + i] = a * s + b * c;
          squares += v[i] * v[i] + v[half + i] * v[half + i];
        }
        const double r = 1 / std::sqrt(squares / static_cast<double>(dim) + static_cast<double>(0.01f));
        double inner = 0;
        for (int64_t i = 0; i < dim; ++i) {
          inner += g[i] * v[i];
        }
        for (int64_t i = 0; i < dim; ++i) {
          g[i] = g[i] * r - inner * r * r * r * v[i] / static_cast<double>(dim);
        }
        for (int64_t i = 0; i < half; ++i) {
          const double a = g[i];
          const double b = g[half + i];
          const double c = static_cast<double>(turn[i]);
          const double s = static_cast<double>(turn[half + i]);
          g[i] = a * c + b * s;
          g[half + i] = b * c - a * s;
        }
        for (int64_t i = 0; i < dim; ++i) {
          v[i] *= r;
        }
      }
      check_near(y, expected, kTight);
      check_near(dx, expected_dx, 2 * kTight);
      same.see(y);
      same.see(dx);
    }
  });
}

MU_TEST(network, causal_softmax_and_its_derivative) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t cols : kLengths) {
      const test::Scope scope("cols " + std::to_string(cols));
      const int64_t ld = cols + 3;
      const int64_t first = cols / 2;
      const int64_t rows = cols - first;
      const int64_t lse_begin = 4;
      const double scale = 0.5;
      /* The last row ends with the array: nothing behind its cols may be touched. */
      const std::size_t count = size((rows - 1) * ld + cols);
      const Floats scores = random_floats(count, 1, 20.0f);
      const Floats dps = random_floats(count, 2);
      Guarded<float> p(scores);
      Guarded<float> lse(size(lse_begin + rows));
      CHECK_EQUAL(mu_softmax_causal(context, p.data(), ld, 0.5f, lse.data(), lse_begin, first, cols, 0, rows), MU_OK);
      Doubles expected = widen(scores);
      Doubles expected_ds = widen(dps);
      Floats deltas(size(lse_begin + rows), 0.0f);
      for (int64_t row = 0; row < rows; ++row) {
        double* s = expected.data() + row * ld;
        double* ds = expected_ds.data() + row * ld;
        const int64_t seen = first + row + 1;
        double most = -1e30;
        for (int64_t j = 0; j < seen; ++j) {
          most = std::max(most, scale * s[j]);
        }
        double total = 0;
        for (int64_t j = 0; j < seen; ++j) {
          total += std::exp(scale * s[j] - most);
        }
        const double log_sum = most + std::log(total);
        CHECK(std::fabs(static_cast<double>(lse[size(lse_begin + row)]) - log_sum) <= 2e-6 * std::fabs(log_sum) + 1e-6);
        double delta = 0;
        for (int64_t j = 0; j < seen; ++j) {
          s[j] = std::exp(scale * s[j] - log_sum);
          delta += s[j] * ds[j];
        }
        deltas[size(lse_begin + row)] = static_cast<float>(delta);
        for (int64_t j = 0; j < seen; ++j) {
          ds[j] = scale * s[j] * (ds[j] - delta);
        }
        for (int64_t j = seen; j < cols; ++j) {
          s[j] = 0;
          ds[j] = 0;
        }
      }
      check_near(p, expected, 20 * kTight);  /* between rows the scores themselves, about 60 */
      const Guarded<float> delta(deltas);
      Guarded<float> again(scores);
      Guarded<float> ds(dps);
      CHECK_EQUAL(mu_softmax_causal_backward(context, again.data(), ds.data(), ld, 0.5f, lse.data(), delta.data(),
                                             lse_begin, first, cols, 0, rows),
                  MU_OK);
      check_near(ds, expected_ds, 10 * kTight);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t j = 0; j < cols; ++j) {
          /* exp amplifies the rounding of a score of up to 40 */
          CHECK(std::fabs(static_cast<double>(again[size(row * ld + j)]) - expected[size(row * ld + j)]) <= 1e-5);
          CHECK(std::fabs(static_cast<double>(p[size(row * ld + j)]) - expected[size(row * ld + j)]) <= 1e-5);
        }
      }
      same.see(p);
      same.see(ds);
    }
  });
}

MU_TEST(network, softmax_far_behind_the_first_position_sees_every_column) {
  in_every_tier([](const mu_context* context, SameBits&) {
    const Floats scores = random_floats(3 * 5, 1, 2.0f);
    Guarded<float> expected(scores);
    Guarded<float> lse(Floats(3, 0.0f));
    CHECK_EQUAL(mu_softmax_causal(context, expected.data(), 5, 0.5f, lse.data(), 0, 4, 5, 0, 3), MU_OK);
    for (const int64_t first : {int64_t{5}, INT64_MAX - 3, INT64_MAX}) {
      Guarded<float> p(scores);
      CHECK_EQUAL(mu_softmax_causal(context, p.data(), 5, 0.5f, lse.data(), 0, first, 5, 0, 3), MU_OK);
      CHECK(p.values() == expected.values());
      Guarded<float> again(scores);
      Guarded<float> d(scores);
      CHECK_EQUAL(mu_softmax_causal_backward(context, again.data(), d.data(), 5, 0.5f, lse.data(), lse.data(), 0, first, 5,
                                             0, 3),
                  MU_OK);
      for (const float probability : again.values()) {
        CHECK(probability > 0.0f);
      }
    }
  });
}

MU_TEST(network, softmax_of_large_scores_stays_finite) {
  in_every_tier([](const mu_context* context, SameBits&) {
    Guarded<float> p(Floats{3e38f, -3e38f, 1e4f, 3e38f});
    Guarded<float> lse(1);
    CHECK_EQUAL(mu_softmax_causal(context, p.data(), 4, 0.125f, lse.data(), 0, 3, 4, 0, 1), MU_OK);
    CHECK_EQUAL(p[0], 0.5f);
    CHECK_EQUAL(p[3], 0.5f);
    CHECK(p[1] >= 0.0f && p[1] < 1e-30f);
  });
}

MU_TEST(network, head_dots_go_to_sequence_head_position) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t dim : kLengths) {
      const int64_t heads = 2;
      const int64_t positions = 3;
      const int64_t rows = 6;
      const Floats xs = random_floats(size(rows * heads * dim), 1);
      const Floats ys = random_floats(size(rows * heads * dim), 2);
      const Guarded<float> x(xs);
      const Guarded<float> y(ys);
      Guarded<float> out(size(rows * heads));
      CHECK_EQUAL(mu_head_dots(context, MU_F32, x.data(), y.data(), out.data(), heads, dim, positions, 0, 4), MU_OK);
      CHECK_EQUAL(mu_head_dots(context, MU_F32, x.data(), y.data(), out.data(), heads, dim, positions, 4, rows), MU_OK);
      Doubles expected(size(rows * heads), 0.0);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t head = 0; head < heads; ++head) {
          for (int64_t i = 0; i < dim; ++i) {
            const std::size_t at = size((row * heads + head) * dim + i);
            expected[size(((row / positions) * heads + head) * positions + row % positions)] +=
                static_cast<double>(xs[at]) * static_cast<double>(ys[at]);
          }
        }
      }
      check_near(out, expected, kTight);
      same.see(out);
    }
  });
}

MU_TEST(network, activations_and_their_derivatives) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t n : kLengths) {
      const test::Scope scope("n " + std::to_string(n));
      const Floats gates = random_floats(size(n), 1, 4.0f);
      const Floats ups = random_floats(size(n), 2);
      const Floats das = random_floats(size(n), 3);
      Doubles squared, squared_du, gated, dgate, dup;
      for (std::size_t i = 0; i < size(n); ++i) {
        const double g = static_cast<double>(gates[i]);
        const double u = static_cast<double>(ups[i]);
        const double da = static_cast<double>(das[i]);
        const double s = logistic(g);
        squared.push_back(u > 0 ? u * u : 0);
        squared_du.push_back(u > 0 ? da * 2 * u : 0);
        gated.push_back(g * s * u);
        dgate.push_back(da * u * s * (1 + g * (1 - s)));
        dup.push_back(da * g * s);
      }
      Guarded<float> u(ups);
      Guarded<float> a(size(n));
      CHECK_EQUAL(mu_relu2(context, MU_F32, u.data(), a.data(), 0, n), MU_OK);
      check_near(a, squared, kTight);
      Guarded<float> da(das);
      CHECK_EQUAL(mu_relu2_backward(context, MU_F32, u.data(), da.data(), 0, n), MU_OK);
      check_near(u, squared_du, kTight);
      check_near(da, squared, kTight);
      same.see(u);

      Guarded<float> gate(gates);
      Guarded<float> up(ups);
      CHECK_EQUAL(mu_swiglu(context, MU_F32, gate.data(), up.data(), a.data(), 0, 1), MU_OK);
      CHECK_EQUAL(mu_swiglu(context, MU_F32, gate.data(), up.data(), a.data(), 1, n), MU_OK);
      check_near(a, gated, kTight);
      same.see(a);
      Guarded<float> da2(das);
      CHECK_EQUAL(mu_swiglu_backward(context, MU_F32, gate.data(), up.data(), da2.data(), 0, n), MU_OK);
      check_near(gate, dgate, kTight);
      check_near(up, dup, kTight);
      check_near(da2, gated, kTight);
      same.see(gate);
      same.see(up);
    }
  });
}

/* silu(x) * 1 over the whole range of floats that matter: relative error of the logistic function, and no overflow. */
MU_TEST(network, logistic_is_accurate_everywhere) {
  in_every_tier([](const mu_context* context, SameBits&) {
    const float one = 1.0f;
    for (float x = -87.0f; x < 100.0f; x += 0.0371f) {
      float a = 0;
      CHECK_EQUAL(mu_swiglu(context, MU_F32, &x, &one, &a, 0, 1), MU_OK);
      const double expected = static_cast<double>(x) * logistic(static_cast<double>(x));
      CHECK(std::fabs(static_cast<double>(a) - expected) <= 5e-7 * std::fabs(expected));
    }
  });
}

MU_TEST(network, cross_entropy_and_its_derivative) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (float cap : {0.0f, 1.0f, 15.0f}) {
      for (int64_t cols : kLengths) {
        const test::Scope scope("cap " + std::to_string(cap) + ", cols " + std::to_string(cols));
        const double c = static_cast<double>(cap);
        const int64_t target_begin = 2;
        const Floats values = random_floats(size(kRows * cols), 1, 3.0f);
        Guarded<int32_t> targets(size(target_begin + kRows));
        Doubles z = widen(values);
        Doubles gradient;
        Doubles losses;
        for (int64_t row = 0; row < kRows; ++row) {
          const int32_t target = static_cast<int32_t>((row * 5) % cols);
          targets[size(target_begin + row)] = target;
          double total = 0;
          for (int64_t i = 0; i < cols; ++i) {
            double& x = z[size(row * cols + i)];
            x = cap > 0.0f ? c * std::tanh(x / c) : x;
            total += std::exp(x);
          }
          losses.push_back(std::log(total) - z[size(row * cols + target)]);
          for (int64_t i = 0; i < cols; ++i) {
            const double x = z[size(row * cols + i)];
            const double slope = cap > 0.0f ? 1 - (x / c) * (x / c) : 1;
            gradient.push_back(0.25 * slope * (std::exp(x) / total - (i == target ? 1 : 0)));
          }
        }
        Guarded<float> capped(values);
        Guarded<double> loss(size(target_begin + kRows));
        CHECK_EQUAL(mu_cross_entropy(context, MU_F32, capped.data(), cap, targets.data(), loss.data(), target_begin, cols, 0,
                                     kRows),
                    MU_OK);
        check_near(capped, z, kTight);
        Guarded<float> logits(values);
        Guarded<double> loss_again(size(target_begin + kRows));
        CHECK_EQUAL(mu_cross_entropy_backward(context, MU_F32, logits.data(), cap, targets.data(), loss_again.data(),
                                              target_begin, 0.25f, cols, 0, kRows),
                    MU_OK);
        check_near(logits, gradient, 2 * kTight);
        for (int64_t row = 0; row < kRows; ++row) {
          CHECK(std::fabs(loss[size(target_begin + row)] - losses[size(row)]) <= 3e-6);
          CHECK_EQUAL(loss_again[size(target_begin + row)], loss[size(target_begin + row)]);
        }
        same.see(capped);
        same.see(logits);
      }
    }
  });
}

/* The soft cap keeps the relative accuracy of small logits, which 1 - 2 / (exp(2x) + 1) would lose. */
MU_TEST(network, soft_cap_is_accurate_everywhere) {
  in_every_tier([](const mu_context* context, SameBits&) {
    const int32_t target = 0;
    double loss = 0;
    for (double magnitude = 1e-6; magnitude < 1e3; magnitude *= 1.0173) {
      for (double sign : {-1.0, 1.0}) {
        float x = static_cast<float>(sign * magnitude);
        const double expected = 15 * std::tanh(static_cast<double>(x) / 15);
        CHECK_EQUAL(mu_cross_entropy(context, MU_F32, &x, 15.0f, &target, &loss, 0, 1, 0, 1), MU_OK);
        CHECK(std::fabs(static_cast<double>(x) - expected) <= 4e-7 * std::fabs(expected));
      }
    }
  });
}

MU_TEST(network, a_logit_that_is_not_finite_shows_in_the_loss) {
  in_every_tier([](const mu_context* context, SameBits&) {
    for (float cap : {0.0f, 15.0f}) {
      Guarded<float> logits(Floats{1.0f, std::nanf(""), 2.0f});
      const int32_t target = 0;
      double loss = 0;
      CHECK_EQUAL(mu_cross_entropy_backward(context, MU_F32, logits.data(), cap, &target, &loss, 0, 1.0f, 3, 0, 1), MU_OK);
      CHECK(std::isnan(loss));
    }
  });
}

MU_TEST(network, embedding_rows_come_and_go_in_order) {
  in_every_tier([](const mu_context* context, SameBits& same) {
    for (int64_t cols : kLengths) {
      const int64_t vocab = 4;
      const Floats rows_of_table = random_floats(size(vocab * cols), 1);
      const Guarded<float> table(rows_of_table);
      const Guarded<int32_t> tokens(std::vector<int32_t>{3, 0, 3, 1});
      Guarded<float> out(size(4 * cols));
      CHECK_EQUAL(mu_gather_rows(context, MU_F32, table.data(), tokens.data(), out.data(), vocab, cols, 0, 4), MU_OK);
      for (int64_t row = 0; row < 4; ++row) {
        for (int64_t i = 0; i < cols; ++i) {
          CHECK_EQUAL(out[size(row * cols + i)], rows_of_table[size(tokens[size(row)] * cols + i)]);
        }
      }
      Guarded<float> gradient(Floats(size(vocab * cols), 1.0f));
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_F32, out.data(), tokens.data(), 4, gradient.data(), MU_F32, cols, 0, 2), MU_OK);
      CHECK_EQUAL(mu_scatter_add_rows(context, MU_F32, out.data(), tokens.data(), 4, gradient.data(), MU_F32, cols, 2, 4), MU_OK);
      for (int64_t i = 0; i < cols; ++i) {
        CHECK_EQUAL(gradient[size(i)], 1.0f + rows_of_table[size(i)]);
        CHECK_EQUAL(gradient[size(2 * cols + i)], 1.0f);
        CHECK_EQUAL(gradient[size(3 * cols + i)],
                    (1.0f + rows_of_table[size(3 * cols + i)]) + rows_of_table[size(3 * cols + i)]);
      }
      same.see(gradient);
    }
  });
}

MU_TEST(network, wrong_arguments_are_named) {
  in_every_tier([](const mu_context* context, SameBits&) {
    float x[4] = {1, 2, 3, 4};
    float rstd[4] = {};
    double losses[1] = {};
    const int32_t tokens[1] = {7};
    const auto refused = [](mu_status status, const std::string& sentence) {
      CHECK_EQUAL(status, MU_INVALID_ARGUMENT);
      CHECK_EQUAL(std::string(mu_last_error()), sentence);
    };
    if (!test::is_cuda(context)) {
      refused(mu_gather_rows(context, MU_F32, x, tokens, x, 2, 2, 0, 1), "mu_gather_rows: token 0 is 7, not from 0 to 1");
      refused(mu_cross_entropy(context, MU_F32, x, 0.0f, tokens, losses, 0, 4, 0, 1),
              "mu_cross_entropy: token 0 is 7, not from 0 to 3");
      refused(mu_cross_entropy_backward(context, MU_F32, x, 0.0f, tokens, losses, 0, 1.0f, 4, 0, 1),
              "mu_cross_entropy_backward: token 0 is 7, not from 0 to 3");
      CHECK_EQUAL(mu_relu2(context, MU_BF16, x, x, 0, 4), MU_UNSUPPORTED);
      CHECK_EQUAL(std::string(mu_last_error()),
                  "mu_relu2: type is MU_BF16, but the CPU computes networks in MU_F32 only");
    }
    refused(mu_rotary_norm(context, MU_F32, x, rstd, x, 1e-6f, 1, 3, 1, 0, 1),
            "mu_rotary_norm: head_dim is odd, but a rotation takes pairs");
    refused(mu_rms_norm(context, MU_F32, x, x, rstd, 0.0f, 4, 0, 1), "mu_rms_norm: eps is 0, not positive and finite");
    refused(mu_softmax_causal(context, x, 3, 1.0f, rstd, 0, 0, 4, 0, 1), "mu_softmax_causal: ld is 3, less than cols 4");
    refused(mu_relu2(context, MU_F32, nullptr, x, 0, 4), "mu_relu2: u is NULL");
    refused(mu_relu2(context, test::any_number<mu_type>(7), x, x, 0, 4),
            "mu_relu2: type is 7, not MU_F32 (0) or MU_BF16 (1)");
    refused(mu_swiglu(nullptr, MU_F32, x, x, x, 0, 4), "mu_swiglu: context is NULL; open one with mu_context_create");
    CHECK_EQUAL(x[0], 1.0f);
  });
}

MU_TEST(network, shapes_that_memory_cannot_have_are_named) {
  in_every_tier([](const mu_context* context, SameBits&) {
    const int64_t huge = int64_t{1} << 40;
    const int64_t most = INT64_MAX;
    float x[4] = {1, 2, 3, 4};
    double losses[1] = {};
    const int32_t tokens[1] = {0};
    const auto refused = [](mu_status status, const std::string& start) {
      CHECK_EQUAL(status, MU_INVALID_ARGUMENT);
      const std::string text = mu_last_error();
      const test::Scope scope("'" + text + "' is not '" + start + "...'");
      CHECK(text.rfind(start, 0) == 0);
    };
    const auto too_much = [&](mu_status status, const std::string& product) {
      refused(status, product + " is ");
      CHECK(std::string(mu_last_error()).find(", more than the 2^60 elements that an array can have") !=
            std::string::npos);
    };
    /* 2^40 * 2^40 is 0 in 64 bits; 2^61 does not overflow them, but its bytes would. */
    refused(mu_rms_norm(context, MU_F32, x, x, x, 1e-6f, huge, 0, huge),
            "mu_rms_norm: row_end * cols is 1099511627776 * 1099511627776, more than the 2^60 elements that an array can "
            "have");
    too_much(mu_rms_norm(context, MU_F32, x, x, x, 1e-6f, 1, 0, int64_t{1} << 61), "mu_rms_norm: row_end * cols");
    too_much(mu_rms_norm_backward(context, MU_F32, x, x, x, nullptr, x, most, 0, 2), "mu_rms_norm_backward: row_end * cols");
    too_much(mu_rotary_norm(context, MU_F32, x, x, x, 1e-6f, huge, 2, 1, 0, huge),
             "mu_rotary_norm: row_end * heads * head_dim");
    too_much(mu_rotary_norm(context, MU_F32, x, x, x, 1e-6f, 1, 2, most, 0, 1), "mu_rotary_norm: positions * head_dim");
    too_much(mu_rotary_norm_backward(context, MU_F32, x, x, x, x, 1, huge, huge, 0, 1),
             "mu_rotary_norm_backward: positions * head_dim");
    too_much(mu_softmax_causal(context, x, huge, 1.0f, x, 0, 0, 1, huge, huge + 1), "mu_softmax_causal: row_end * ld");
    too_much(mu_softmax_causal(context, x, 1, 1.0f, x, most, 0, 1, 0, 1), "mu_softmax_causal: lse_begin + row_end");
    refused(mu_softmax_causal(context, x, 1, 1.0f, x, 0, -1, 1, 0, 1), "mu_softmax_causal: first is -1, not 0 or more");
    too_much(mu_softmax_causal_backward(context, x, x, 2, 1.0f, x, x, 0, 0, 1, most, most),
             "mu_softmax_causal_backward: row_end * ld");
    too_much(mu_head_dots(context, MU_F32, x, x, x, huge, huge, 1, 0, 1), "mu_head_dots: row_end * heads * head_dim");
    too_much(mu_head_dots(context, MU_F32, x, x, x, huge, 1, huge, 0, 1),
             "mu_head_dots: (row_end / positions + 1) * heads * positions");
    too_much(mu_cross_entropy(context, MU_F32, x, 0.0f, tokens, losses, 0, most, 0, 2), "mu_cross_entropy: row_end * cols");
    too_much(mu_cross_entropy(context, MU_F32, x, 0.0f, tokens, losses, most, 1, 0, 1),
             "mu_cross_entropy: target_begin + row_end");
    too_much(mu_cross_entropy_backward(context, MU_F32, x, 0.0f, tokens, losses, most, 1.0f, 1, 0, 1),
             "mu_cross_entropy_backward: target_begin + row_end");
    too_much(mu_gather_rows(context, MU_F32, x, tokens, x, huge, huge, 0, 1), "mu_gather_rows: vocab * cols");
    too_much(mu_gather_rows(context, MU_F32, x, tokens, x, 1, most, 0, 2), "mu_gather_rows: row_end * cols");
    refused(mu_gather_rows(context, MU_F32, x, tokens, x, -1, 1, 0, 0), "mu_gather_rows: vocab is -1, not 0 or more");
    too_much(mu_scatter_add_rows(context, MU_F32, x, tokens, huge, x, MU_F32, huge, 0, 1), "mu_scatter_add_rows: count * cols");
    too_much(mu_scatter_add_rows(context, MU_F32, x, tokens, 1, x, MU_F32, huge, 0, huge), "mu_scatter_add_rows: vocab_end * cols");
    CHECK_EQUAL(x[0], 1.0f);
  });
}
