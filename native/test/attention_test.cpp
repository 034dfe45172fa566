/*
 * attention_test.cpp - attention without stored scores against its formula in double: forward, and backward against the
 * derivative, for heads that share keys and for lengths around every tile; in bf16 where it runs on tensor cores.
 */
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

using test::Guarded;

namespace {

using Doubles = std::vector<double>;
using Bytes = Guarded<std::byte>;

struct Shape {
  int64_t sequences;
  int64_t positions;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;

  int64_t queries() const { return sequences * positions * heads * head_dim; }
  int64_t keys() const { return sequences * positions * kv_heads * head_dim; }
  int64_t rows() const { return sequences * heads * positions; }
  int64_t query(int64_t s, int64_t i, int64_t h) const { return ((s * positions + i) * heads + h) * head_dim; }
  int64_t key(int64_t s, int64_t i, int64_t h) const {
    return ((s * positions + i) * kv_heads + h / (heads / kv_heads)) * head_dim;
  }
  int64_t row(int64_t s, int64_t i, int64_t h) const { return (s * heads + h) * positions + i; }
  std::string text() const {
    return std::to_string(sequences) + " sequences of " + std::to_string(positions) + ", heads " +
           std::to_string(heads) + "/" + std::to_string(kv_heads) + " of " + std::to_string(head_dim);
  }
};

std::size_t size(int64_t count) {
  return static_cast<std::size_t>(count);
}

Doubles widen(const std::vector<std::byte>& array, mu_type type) {
  Doubles values(array.size() / (type == MU_BF16 ? 2 : 4));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = test::value_at(array.data(), type, static_cast<int64_t>(i));
  }
  return values;
}

/* Inputs as stored, and what attention makes of exactly these in double. */
struct Problem {
  Shape shape;
  mu_type type;
  double scale;
  std::vector<std::byte> q, k, v, d_o;
  Doubles o, lse, delta, dq, dk, dv;

  Problem(const Shape& of, mu_type stored, float spread, uint32_t seed)
      : shape(of), type(stored), scale(1 / std::sqrt(static_cast<double>(of.head_dim))) {
    scale = static_cast<double>(static_cast<float>(scale));
    q = array(shape.queries(), spread, seed);
    k = array(shape.keys(), spread, seed + 1);
    v = array(shape.keys(), 1.0f, seed + 2);
    d_o = array(shape.queries(), 1.0f, seed + 3);
    solve();
  }

 private:
  std::vector<std::byte> array(int64_t count, float spread, uint32_t seed) const {
    std::vector<float> values = test::numbers(test::Kind::kNormal, count, seed);
    for (float& value : values) {
      value *= spread;
    }
    return test::as_type(values, type);
  }

  static double dot(const double* a, const double* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  static void add(double factor, const double* x, double* y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      y[i] += factor * x[i];
    }
  }

  void solve() {
    const Doubles qs = widen(q, type);
    const Doubles ks = widen(k, type);
    const Doubles vs = widen(v, type);
    const Doubles dos = widen(d_o, type);
    const int64_t n = shape.head_dim;
    o.assign(qs.size(), 0);
    dq.assign(qs.size(), 0);
    dk.assign(ks.size(), 0);
    dv.assign(ks.size(), 0);
    lse.assign(size(shape.rows()), 0);
    delta.assign(size(shape.rows()), 0);
    Doubles p(size(shape.positions));
    for (int64_t s = 0; s < shape.sequences; ++s) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        for (int64_t i = 0; i < shape.positions; ++i) {
          const int64_t at = shape.query(s, i, h);
          const int64_t row = shape.row(s, i, h);
          double most = -1e300;
          for (int64_t j = 0; j <= i; ++j) {
            p[size(j)] = scale * dot(&qs[size(at)], &ks[size(shape.key(s, j, h))], n);
            most = std::max(most, p[size(j)]);
          }
          double total = 0;
          for (int64_t j = 0; j <= i; ++j) {
            total += std::exp(p[size(j)] - most);
          }
          lse[size(row)] = most + std::log(total);
          for (int64_t j = 0; j <= i; ++j) {
            p[size(j)] = std::exp(p[size(j)] - lse[size(row)]);
            add(p[size(j)], &vs[size(shape.key(s, j, h))], &o[size(at)], n);
          }
          delta[size(row)] = dot(&o[size(at)], &dos[size(at)], n);
          for (int64_t j = 0; j <= i; ++j) {
            const int64_t key = shape.key(s, j, h);
            const double ds = scale * p[size(j)] * (dot(&dos[size(at)], &vs[size(key)], n) - delta[size(row)]);
            add(p[size(j)], &dos[size(at)], &dv[size(key)], n);
            add(ds, &qs[size(at)], &dk[size(key)], n);
            add(ds, &ks[size(key)], &dq[size(at)], n);
          }
        }
      }
    }
  }
};

/* Largest and mean error stay below parts of the largest magnitude that is expected, or of 1, from which small ones come. */
void check_near(const char* name, const Doubles& actual, const Doubles& expected, double most, double mean) {
  CHECK_EQUAL(actual.size(), expected.size());
  double largest = 1;
  for (double value : expected) {
    largest = std::max(largest, std::fabs(value));
  }
  double sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = std::fabs(actual[i] - expected[i]);
    if (!(error <= most * largest)) {
      test::failed(__FILE__, __LINE__,
                   std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(actual[i]) + ", not " +
                       std::to_string(expected[i]));
    }
    sum += error;
  }
  const double average = sum / static_cast<double>(expected.size()) / largest;
  if (!(average <= mean)) {
    test::failed(__FILE__, __LINE__, std::string(name) + " is off by " + std::to_string(average) + " on average");
  }
}

Doubles widen(const Guarded<float>& array) {
  const std::vector<float> values = array.values();
  return Doubles(values.begin(), values.end());
}

std::vector<float> narrow(const Doubles& values) {
  return std::vector<float>(values.begin(), values.end());
}

/* Every sequence in a call of its own, last first: sequences are independent. */
template <class Call>
void by_sequences(const Shape& shape, const Call& call) {
  for (int64_t s = shape.sequences; s > 0; --s) {
    CHECK_EQUAL(call(s - 1, s), MU_OK);
  }
}

const std::byte kPoison{0xff};

struct Tolerance {
  double most;
  double mean;
};

/* FP32 differs by the rounding of sums; bf16 by that of the probabilities and of what is stored, 2^-9 each. */
Tolerance tolerance(mu_type type) {
  return type == MU_BF16 ? Tolerance{8e-3, 5e-4} : Tolerance{3e-6, 2e-7};
}

/* An array that begins `skip` bytes behind a page that cannot be touched, or ends at one where skip is 0. */
class Placed final {
 public:
  Placed(const std::vector<std::byte>& values, std::size_t skip)
      : skip_(skip), bytes_(values.size() + skip, skip == 0 ? test::Flush::kEnd : test::Flush::kBegin) {
    std::memcpy(data(), values.data(), values.size());
  }

  std::byte* data() { return bytes_.data() + skip_; }
  const std::byte* data() const { return bytes_.data() + skip_; }
  std::vector<std::byte> values() const { return std::vector<std::byte>(data(), data() + (bytes_.size() - skip_)); }

 private:
  std::size_t skip_;
  Bytes bytes_;
};

void check_problem(const mu_context* context, const Problem& problem, std::size_t skip = 0) {
  const Shape& shape = problem.shape;
  const test::Scope scope(shape.text());
  const Placed q(problem.q, skip);
  const Placed k(problem.k, skip);
  const Placed v(problem.v, skip);
  const Placed d_o(problem.d_o, skip);
  const Tolerance allowed = tolerance(problem.type);
  const float scale = static_cast<float>(problem.scale);

  Placed o(std::vector<std::byte>(problem.q.size(), kPoison), skip);
  Guarded<float> lse(std::vector<float>(size(shape.rows()), std::nanf("")));
  by_sequences(shape, [&](int64_t begin, int64_t end) {
    return mu_attention(context, problem.type, q.data(), k.data(), v.data(), o.data(), lse.data(), scale, shape.heads,
                        shape.kv_heads, shape.head_dim, shape.positions, begin, end);
  });
  check_near("o", widen(o.values(), problem.type), problem.o, allowed.most, allowed.mean);
  check_near("lse", widen(lse), problem.lse, 1e-5, 1e-6);

  const Guarded<float> exact_lse(narrow(problem.lse));
  const Guarded<float> delta(narrow(problem.delta));
  Placed dq(std::vector<std::byte>(problem.q.size(), kPoison), skip);
  Placed dk(std::vector<std::byte>(problem.k.size(), kPoison), skip);
  Placed dv(std::vector<std::byte>(problem.v.size(), kPoison), skip);
  by_sequences(shape, [&](int64_t begin, int64_t end) {
    return mu_attention_backward(context, problem.type, q.data(), k.data(), v.data(), exact_lse.data(), d_o.data(),
                                 delta.data(), dq.data(), dk.data(), dv.data(), scale, shape.heads, shape.kv_heads,
                                 shape.head_dim, shape.positions, begin, end);
  });
  check_near("dq", widen(dq.values(), problem.type), problem.dq, allowed.most, allowed.mean);
  check_near("dk", widen(dk.values(), problem.type), problem.dk, allowed.most, allowed.mean);
  check_near("dv", widen(dv.values(), problem.type), problem.dv, allowed.most, allowed.mean);
}

}  // namespace

MU_TEST(attention, is_its_formula_in_every_tier) {
  const Shape shapes[] = {
      {2, 1, 1, 1, 8},   {2, 17, 3, 1, 16}, {1, 65, 4, 2, 24},  {1, 200, 2, 1, 64},
      {1, 65, 4, 4, 80}, {1, 17, 5, 5, 96}, {1, 200, 4, 2, 128}, {3, 16, 2, 2, 32},
  };
  for (const Shape& shape : shapes) {
    const Problem problem(shape, MU_F32, 1.0f, 11);
    test::for_each_tier([&](const mu_context* context) { check_problem(context, problem); });
  }
}

MU_TEST(attention, in_bf16_is_its_formula_of_what_is_stored) {
  const Shape shapes[] = {
      {2, 1, 1, 1, 8},   {2, 17, 3, 1, 16},  {1, 65, 4, 2, 24}, {1, 200, 1, 1, 32}, {1, 130, 2, 1, 64},
      {1, 65, 2, 2, 80}, {1, 17, 3, 3, 96},  {1, 64, 1, 1, 72}, {1, 70, 2, 1, 128}, {1, 97, 1, 1, 104},
  };
  for (const Shape& shape : shapes) {
    const Problem problem(shape, MU_BF16, 1.0f, 23);
    test::for_each_tier([&](const mu_context* context) {
      if (test::is_cuda(context)) {
        check_problem(context, problem);
      }
    });
  }
}

/* Elements need the alignment of their type only: where accesses of 16 bytes are impossible, others are used. */
MU_TEST(attention, of_arrays_that_are_not_aligned) {
  for (const mu_type type : {MU_F32, MU_BF16}) {
    const Problem problem({2, 35, 4, 2, 40}, type, 1.0f, 31);
    test::for_each_tier([&](const mu_context* context) {
      if (type == MU_F32 || test::is_cuda(context)) {
        check_problem(context, problem, type == MU_F32 ? 4 : 2);
      }
    });
  }
}

/* Where single keys take nearly all of the weight, a maximum that is not subtracted would overflow. */
MU_TEST(attention, of_large_scores_stays_finite) {
  const Problem problem({1, 40, 2, 1, 16}, MU_F32, 12.0f, 5);
  test::for_each_tier([&](const mu_context* context) {
    const Bytes q(problem.q);
    const Bytes k(problem.k);
    const Bytes v(problem.v);
    Bytes o(problem.q.size());
    Guarded<float> lse(size(problem.shape.rows()));
    CHECK_EQUAL(mu_attention(context, MU_F32, q.data(), k.data(), v.data(), o.data(), lse.data(),
                             static_cast<float>(problem.scale), 2, 1, 16, 40, 0, 1),
                MU_OK);
    check_near("o", widen(o.values(), MU_F32), problem.o, 2e-4, 1e-5);
    check_near("lse", widen(lse), problem.lse, 1e-6, 1e-6);
  });
}

MU_TEST(attention, wrong_shapes_are_named) {
  test::for_each_tier([](const mu_context* context) {
    float x[16] = {};
    const auto refused = [](mu_status status, mu_status expected, const std::string& sentence) {
      CHECK_EQUAL(status, expected);
      CHECK_EQUAL(std::string(mu_last_error()), sentence);
    };
    const auto forward = [&](mu_type type, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim,
                             int64_t positions) {
      return mu_attention(context, type, x, x, x, x, x, scale, heads, kv_heads, head_dim, positions, 0, 1);
    };
    const auto backward = [&](mu_type type, int64_t head_dim) {
      return mu_attention_backward(context, type, x, x, x, x, x, x, x, x, x, 1.0f, 1, 1, head_dim, 1, 0, 1);
    };
    refused(forward(MU_F32, 1.0f, 3, 2, 8, 1), MU_INVALID_ARGUMENT,
            "mu_attention: heads is not a multiple of kv_heads, so they cannot share key heads evenly");
    refused(forward(MU_F32, 1.0f, 2, 1, 12, 1), MU_INVALID_ARGUMENT,
            "mu_attention: head_dim is not a multiple of 8 from 8 to 128");
    refused(forward(MU_F32, 1.0f, 2, 1, 136, 1), MU_INVALID_ARGUMENT,
            "mu_attention: head_dim is not a multiple of 8 from 8 to 128");
    refused(forward(MU_F32, 0.0f, 1, 1, 8, 1), MU_INVALID_ARGUMENT,
            "mu_attention: scale is 0, not positive and finite");
    refused(forward(MU_F32, 1.0f, 1, 1, 8, 0), MU_INVALID_ARGUMENT,
            "mu_attention: positions is 0, less than the least 1");
    refused(forward(MU_F32, 1.0f, int64_t{1} << 40, 1, 8, int64_t{1} << 40), MU_INVALID_ARGUMENT,
            "mu_attention: sequence_end * positions * heads * head_dim is 1099511627776 * 1099511627776 * 8, more than "
            "the 2^60 elements that an array can have");
    if (!test::is_cuda(context)) {
      refused(forward(MU_BF16, 1.0f, 1, 1, 8, 1), MU_UNSUPPORTED,
              "mu_attention: type is MU_BF16, but the CPU computes networks in MU_F32 only");
      refused(backward(MU_BF16, 8), MU_UNSUPPORTED,
              "mu_attention_backward: type is MU_BF16, but the CPU computes networks in MU_F32 only");
    }
    refused(backward(MU_F32, 4), MU_INVALID_ARGUMENT,
            "mu_attention_backward: head_dim is not a multiple of 8 from 8 to 128");
  });
}
