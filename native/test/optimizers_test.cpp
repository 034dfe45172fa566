/* optimizers_test.cpp - Muon and AdamW: the plain kernels against FP64, every tier against the plain ones. */
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>
#include <set>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr mu_type kTypes[] = {MU_F32, MU_BF16};
constexpr mu_format kMomentumFormats[] = {MU_FORMAT_F32, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_SIGNED};

std::size_t bytes_of(mu_type type) {
  return type == MU_BF16 ? 2 : 4;
}

std::size_t blocks(int64_t n, int64_t block) {
  return static_cast<std::size_t>((n + block - 1) / block);
}

std::vector<uint8_t> zero_state(mu_format format, int64_t n) {
  const std::size_t bytes = static_cast<std::size_t>(n) * (format == MU_FORMAT_F32 ? 4 : 1);
  return std::vector<uint8_t>(bytes, format == MU_FORMAT_INT8_DYNAMIC_SIGNED ? 127 : 0);
}

/* State and update of Muon; each array ends at a page that cannot be touched. */
struct Muon {
  mu_format format;
  int64_t n;
  int64_t block;
  mu_type update_type;
  test::Guarded<uint8_t> momentum;
  test::Guarded<float> scales;
  test::Guarded<std::byte> update;
  double sum = 0.0;

  Muon(mu_format f, int64_t count, int64_t b, mu_type u)
      : format(f), n(count), block(b), update_type(u), momentum(zero_state(f, count)), scales(blocks(count, b)),
        update(static_cast<std::size_t>(count) * bytes_of(u)) {}

  void step(const mu_context* context, const test::Guarded<std::byte>& gradient, mu_type type, double beta,
            int32_t nesterov, int64_t begin, int64_t end) {
    CHECK_EQUAL(mu_muon_momentum(context, format, block, gradient.data(), type, 0.5f, momentum.data(), scales.data(),
                                 update.data(), update_type, beta, nesterov, begin, end, &sum),
                MU_OK);
  }

  bool same_bits(const Muon& other) const {
    return momentum.values() == other.momentum.values() && update.values() == other.update.values() &&
           std::memcmp(scales.data(), other.scales.data(), scales.size() * sizeof(float)) == 0;
  }
};

struct CloseMap {
  std::size_t bytes;
  void operator()(void* map) const { munmap(map, bytes); }
};

}  // namespace

MU_TEST(optimizers, momentum_is_the_formula) {
  for (const int32_t nesterov : {0, 1}) {
    const int64_t n = 1000;
    Muon muon(MU_FORMAT_F32, n, 128, MU_F32);
    std::vector<double> m(static_cast<std::size_t>(n), 0.0);
    for (uint32_t step = 0; step < 5; ++step) {
      const std::vector<float> gradient = test::numbers(test::Kind::kNormal, n, step);
      muon.step(test::oracle(), test::Guarded<std::byte>(test::as_type(gradient, MU_F32)), MU_F32, 0.95, nesterov, 0, n);
      double sum = 0.0;
      for (std::size_t i = 0; i < m.size(); ++i) {
        const double g = 0.5 * static_cast<double>(gradient[i]);
        m[i] = 0.95 * m[i] + 0.05 * g;
        const double u = nesterov != 0 ? 0.05 * g + 0.95 * m[i] : m[i];
        const double got = test::value_at(muon.update.data(), MU_F32, static_cast<int64_t>(i));
        CHECK(std::fabs(got - u) <= 1e-6 * (std::fabs(u) + 0.05));
        sum += got * got;
      }
      CHECK(std::fabs(muon.sum - sum) <= test::kMomentumSum * sum);
    }
  }
}

MU_TEST(optimizers, quantized_momentum_gives_the_update_of_fresh_values) {
  /* The first step from a state of zeros: u must be FP32's exactly, whatever is stored of m. */
  test::for_each_tier([](const mu_context* context) {
    const test::Guarded<std::byte> gradient(test::as_type(test::numbers(test::Kind::kNormal, 1000, 7), MU_F32));
    Muon plain(MU_FORMAT_F32, 1000, 128, MU_F32);
    plain.step(context, gradient, MU_F32, 0.95, 1, 0, 1000);
    for (const mu_format format : {MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_SIGNED}) {
      Muon quantized(format, 1000, 128, MU_F32);
      quantized.step(context, gradient, MU_F32, 0.95, 1, 0, 1000);
      CHECK(quantized.update.values() == plain.update.values());
      CHECK(test::is_sum(context, quantized.sum, plain.sum));
      /* What is stored is what quantizing FP32's m gives. */
      std::vector<uint8_t> codes(1000);
      std::vector<float> scales(8);
      CHECK_EQUAL(mu_quantize(context, format, 128, plain.momentum.data(), MU_F32, codes.data(), scales.data(), 0, 1000),
                  MU_OK);
      CHECK(quantized.momentum.values() == codes);
      CHECK(quantized.scales.values() == scales);
    }
  });
}

MU_TEST(optimizers, sum_of_the_update_is_right_for_numbers_of_any_size) {
  /* With a momentum of zeros u is a part of the gradient; the squares of most of these sizes leave the range of FP32. */
  constexpr float kGreatest = std::numeric_limits<float>::max();
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : kMomentumFormats) {
      for (const float size :
           {1.0f, 1e-15f, 1e-18f, 1e-19f, 1e-21f, 1e-25f, 1e-40f, 0.0f, 1e18f, 2e19f, 1e25f, kGreatest / 8}) {
        for (const float other : {0.0f, 1e-41f, 1e-19f, 1.0f, 1e19f, kGreatest / 8}) {
          const test::Scope scope("format " + std::to_string(format) + ", " + std::to_string(size) + " and " +
                                  std::to_string(other));
          for (const int64_t n : {300, 100}) {
            std::vector<float> gradient = test::numbers(test::Kind::kTies, n, 3);
            for (std::size_t i = 0; i < gradient.size(); ++i) {
              gradient[i] *= size / 127.0f;
              gradient[i] = i % 77 == 5 ? other : gradient[i];
            }
            Muon muon(format, n, 64, MU_F32);
            muon.step(context, test::Guarded<std::byte>(test::as_type(gradient, MU_F32)), MU_F32, 0.5, 1, 0, n);
            double sum = 0.0;
            for (int64_t i = 0; i < n; ++i) {
              const double u = test::value_at(muon.update.data(), MU_F32, i);
              sum += u * u;
            }
            CHECK(std::isfinite(muon.sum) && std::fabs(muon.sum - sum) <= test::kMomentumSum * sum);
          }
        }
      }
    }
  });
}

MU_TEST(optimizers, sum_of_the_update_is_finite_only_for_finite_gradients) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : kMomentumFormats) {
      for (const mu_type update_type : kTypes) {
        for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN()}) {
          for (const std::size_t at : {0u, 37u, 500u, 999u}) {
            std::vector<float> gradient = test::numbers(test::Kind::kNormal, 1000, 1);
            gradient[at] = bad;
            Muon muon(format, 1000, 128, update_type);
            muon.step(context, test::Guarded<std::byte>(test::as_type(gradient, MU_F32)), MU_F32, 0.95, 1, 0, 1000);
            CHECK(!std::isfinite(muon.sum));
            for (int64_t i = 0; i < 1000; ++i) {
              const bool finite = std::isfinite(test::value_at(muon.update.data(), update_type, i));
              CHECK_EQUAL(finite, static_cast<std::size_t>(i) != at);
            }
          }
        }
      }
    }
  });
}

MU_TEST(optimizers, momentum_agrees_in_all_tiers) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : kMomentumFormats) {
      for (const mu_type gradient_type : kTypes) {
        for (const mu_type update_type : kTypes) {
          for (const test::Kind kind : test::kKinds) {
            for (const int64_t block : {64, 128, 1024}) {
              for (const int64_t n : test::ragged_sizes()) {
                const test::Scope scope("format " + std::to_string(format) + ", " + test::name(kind) + ", block " +
                                        std::to_string(block) + ", n " + std::to_string(n));
                Muon expected(format, n, block, update_type);
                Muon whole(format, n, block, update_type);
                Muon cut(format, n, block, update_type);
                for (uint32_t step = 0; step < 2; ++step) {
                  const test::Guarded<std::byte> g(test::as_type(test::numbers(kind, n, 20 + step), gradient_type));
                  expected.step(test::oracle(), g, gradient_type, 0.9, 1, 0, n);
                  whole.step(context, g, gradient_type, 0.9, 1, 0, n);
                  cut.step(context, g, gradient_type, 0.9, 1, std::min(block, n), n);
                  cut.step(context, g, gradient_type, 0.9, 1, 0, std::min(block, n));
                }
                CHECK(whole.same_bits(expected));
                CHECK(cut.same_bits(expected));
                CHECK(test::is_sum(context, whole.sum, expected.sum, test::kMomentumSum));
              }
            }
          }
        }
      }
    }
  });
}

MU_TEST(optimizers, long_ranges_agree_at_any_alignment) {
  /* Long enough for streaming stores, which need addresses that the caller need not give. */
  const int64_t n = 90001;
  const std::vector<float> gradient = test::numbers(test::Kind::kNormal, n + 64, 30);
  test::for_each_tier([&](const mu_context* context) {
    for (const mu_type type : kTypes) {
      for (const std::size_t shift : {0u, 1u, 5u, 32u}) {
        struct Run {
          std::vector<int8_t> codes;
          std::vector<float> scales;
          std::unique_ptr<std::byte, decltype(&std::free)> update;
          double sum = 0.0;
        };
        const std::size_t bytes = (static_cast<std::size_t>(n) + 128) * bytes_of(type) / 64 * 64;
        const auto run = [&](const mu_context* tier) {
          Run r{std::vector<int8_t>(static_cast<std::size_t>(n), 3), std::vector<float>(blocks(n, 128), 0.01f),
                {static_cast<std::byte*>(std::aligned_alloc(64, bytes)), &std::free}};
          std::memset(r.update.get(), 0, bytes);
          CHECK_EQUAL(mu_muon_momentum(tier, MU_FORMAT_INT8_LINEAR, 128, gradient.data() + shift, MU_F32, 1.0f,
                                       r.codes.data(), r.scales.data(), r.update.get() + shift * bytes_of(type), type,
                                       0.95, 1, 0, n, &r.sum),
                      MU_OK);
          return r;
        };
        const Run expected = run(test::oracle());
        const Run got = run(context);
        CHECK(got.codes == expected.codes);
        CHECK(got.scales == expected.scales);
        CHECK(test::is_sum(context, got.sum, expected.sum, test::kMomentumSum));
        CHECK(std::memcmp(got.update.get(), expected.update.get(), bytes) == 0);
      }
    }
  });
}

MU_TEST(optimizers, update_may_be_the_gradient_itself) {
  test::for_each_tier([](const mu_context* context) {
    const test::Guarded<std::byte> gradient(test::as_type(test::numbers(test::Kind::kNormal, 300, 7), MU_F32));
    Muon apart(MU_FORMAT_INT8_LINEAR, 300, 128, MU_F32);
    apart.step(context, gradient, MU_F32, 0.95, 1, 0, 300);
    Muon together(MU_FORMAT_INT8_LINEAR, 300, 128, MU_F32);
    std::memcpy(together.update.data(), gradient.data(), gradient.size());
    CHECK_EQUAL(mu_muon_momentum(context, together.format, 128, together.update.data(), MU_F32, 0.5f,
                                 together.momentum.data(), together.scales.data(), together.update.data(), MU_F32, 0.95,
                                 1, 0, 300, &together.sum),
                MU_OK);
    CHECK(together.same_bits(apart));
  });
}

MU_TEST(optimizers, update_agrees_in_all_tiers) {
  const mu_rounding rounding = {1, 2, 3};
  test::for_each_tier([&](const mu_context* context) {
    for (const mu_type o_type : kTypes) {
      for (const int64_t cols : {1, 15, 16, 17, 33, 130}) {
        for (const int form : {0, 1, 2, 3}) { /* FP32, bf16 to nearest, bf16 at random, bf16 with master */
          const mu_type w_type = form == 0 ? MU_F32 : MU_BF16;
          const int64_t ld = cols + 5;
          const int64_t count = 6 * ld + cols;
          const test::Guarded<std::byte> o(test::as_type(test::numbers(test::Kind::kNormal, 7 * cols, 1), o_type));
          const auto run = [&](const mu_context* tier, int64_t border) {
            test::Guarded<std::byte> w(test::as_type(test::numbers(test::Kind::kNormal, count, 2), w_type));
            test::Guarded<float> master(test::numbers(test::Kind::kNormal, 7 * cols, 3));
            for (const auto& [begin, end] : {std::pair{border, int64_t{7}}, std::pair{int64_t{0}, border}}) {
              CHECK_EQUAL(mu_muon_update(tier, w.data(), w_type, ld, form == 3 ? master.data() : nullptr, o.data(),
                                         o_type, cols, 0.99f, 0.3f, form == 2 ? &rounding : nullptr, cols, begin, end),
                          MU_OK);
            }
            return std::pair{w.values(), master.values()};
          };
          CHECK(run(context, 0) == run(test::oracle(), 0));
          CHECK(run(context, 3) == run(test::oracle(), 7));
        }
      }
    }
  });
}

MU_TEST(optimizers, update_is_the_formula) {
  const std::vector<float> before = test::numbers(test::Kind::kNormal, 500, 1);
  const std::vector<float> o = test::numbers(test::Kind::kNormal, 500, 2);
  std::vector<float> w = before;
  std::vector<uint16_t> half(500);
  std::vector<float> master = before;
  CHECK_EQUAL(mu_muon_update(test::oracle(), w.data(), MU_F32, 50, nullptr, o.data(), MU_F32, 50, 0.9f, 0.1f, nullptr, 50,
                             0, 10),
              MU_OK);
  CHECK_EQUAL(mu_muon_update(test::oracle(), half.data(), MU_BF16, 50, master.data(), o.data(), MU_F32, 50, 0.9f, 0.1f,
                             nullptr, 50, 0, 10),
              MU_OK);
  for (std::size_t i = 0; i < 500; ++i) {
    const double expected = 0.9 * static_cast<double>(before[i]) - 0.1 * static_cast<double>(o[i]);
    CHECK(std::fabs(static_cast<double>(w[i]) - expected) < 1e-6);
    CHECK_EQUAL(master[i], w[i]);
    CHECK_EQUAL(half[i], test::to_bf16(w[i]));
  }
}

MU_TEST(optimizers, random_rounding_is_right_on_average) {
  /* Between 1 and the next bf16, 1 + 1/128, for several positions in between. */
  for (const double position : {0.0, 0.1, 0.25, 0.5, 0.9}) {
    const int64_t n = 200000;
    const float value = static_cast<float>(1.0 + position / 128.0);
    const std::vector<float> o(static_cast<std::size_t>(n), -value);
    int64_t up = 0;
    int64_t changed = 0;
    std::vector<uint16_t> previous;
    for (uint64_t step = 0; step < 3; ++step) {
      const mu_rounding rounding = {42, step, 7};
      std::vector<uint16_t> w(static_cast<std::size_t>(n), 0);
      CHECK_EQUAL(mu_muon_update(test::oracle(), w.data(), MU_BF16, n, nullptr, o.data(), MU_F32, n, 1.0f, 1.0f, &rounding,
                                 n, 0, 1),
                  MU_OK);
      for (std::size_t i = 0; i < w.size(); ++i) {
        CHECK(w[i] == 0x3f80 || w[i] == 0x3f81);
        up += w[i] == 0x3f81 ? 1 : 0;
        changed += !previous.empty() && w[i] != previous[i] ? 1 : 0;
      }
      previous = w;
    }
    /* Five standard deviations; and independent from step to step. */
    const double variance = position * (1 - position);
    CHECK(std::fabs(static_cast<double>(up) - 3.0 * static_cast<double>(n) * position) <=
          5 * std::sqrt(3.0 * static_cast<double>(n) * variance));
    CHECK(std::fabs(static_cast<double>(changed) - 2.0 * static_cast<double>(n) * 2 * variance) <=
          5 * std::sqrt(2.0 * static_cast<double>(n) * variance) + 1);
  }
}

MU_TEST(optimizers, random_rounding_depends_on_every_part_of_its_key) {
  const std::vector<float> o(2000, -1.00390625f); /* half way */
  std::set<std::vector<uint16_t>> seen;
  for (const mu_rounding& key :
       {mu_rounding{0, 0, 0}, mu_rounding{1, 0, 0}, mu_rounding{0, 1, 0}, mu_rounding{0, 0, 1},
        mu_rounding{uint64_t{1} << 32, 0, 0}, mu_rounding{0, uint64_t{1} << 32, 0}, mu_rounding{0, 0, uint64_t{1} << 32}}) {
    std::vector<uint16_t> w(2000, 0);
    CHECK_EQUAL(mu_muon_update(test::oracle(), w.data(), MU_BF16, 2000, nullptr, o.data(), MU_F32, 2000, 1.0f, 1.0f, &key,
                               2000, 0, 1),
                MU_OK);
    CHECK(seen.insert(w).second);
  }
}

MU_TEST(optimizers, random_rounding_agrees_beyond_four_billion_elements) {
  /* Of 2^32 + 2^17 reserved weights only the pages around element 2^32 are ever touched. */
  const int64_t cols = 1000;
  const std::size_t bytes = ((std::size_t{1} << 32) + (std::size_t{1} << 17)) * 2;
  const auto reserve = [&] {
    void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(map != MAP_FAILED);
    return std::unique_ptr<void, CloseMap>(map, CloseMap{bytes});
  };
  const int64_t row = (int64_t{1} << 32) / cols;
  const mu_rounding rounding = {5, 6, 7};
  const std::vector<float> numbers = test::numbers(test::Kind::kNormal, 3 * cols, 4);
  const std::unique_ptr<void, CloseMap> o = reserve();
  const std::vector<std::byte> halves = test::as_type(numbers, MU_BF16);
  std::memcpy(static_cast<uint16_t*>(o.get()) + (row - 1) * cols, halves.data(), halves.size());
  const auto run = [&](const mu_context* context) {
    const std::unique_ptr<void, CloseMap> w = reserve();
    CHECK_EQUAL(mu_muon_update(context, w.get(), MU_BF16, cols, nullptr, o.get(), MU_BF16, cols, 1.0f, 0.37f, &rounding,
                               cols, row - 1, row + 2),
                MU_OK);
    const uint16_t* touched = static_cast<const uint16_t*>(w.get()) + (row - 1) * cols;
    return std::vector<uint16_t>(touched, touched + 3 * cols);
  };
  const std::vector<uint16_t> expected = run(test::oracle());
  test::for_each_tier([&](const mu_context* context) { CHECK(run(context) == expected); });
}

namespace {

struct AdamwRun {
  mu_format m_format;
  mu_format v_format;
  int64_t n;
  int64_t block;
  int form; /* FP32, bf16 to nearest, bf16 at random, bf16 with master */
  test::Guarded<std::byte> w;
  test::Guarded<float> master;
  test::Guarded<uint8_t> m;
  test::Guarded<float> m_scales;
  test::Guarded<uint8_t> v;
  test::Guarded<float> v_scales;

  AdamwRun(mu_format mf, mu_format vf, int64_t count, int64_t b, int f)
      : m_format(mf), v_format(vf), n(count), block(b), form(f),
        w(test::as_type(test::numbers(test::Kind::kNormal, count, 1), f == 0 ? MU_F32 : MU_BF16)),
        master(test::numbers(test::Kind::kNormal, count, 1)), m(zero_state(mf, count)), m_scales(blocks(count, b)),
        v(zero_state(vf, count)), v_scales(blocks(count, b)) {}

  void step(const mu_context* context, const std::vector<std::byte>& gradient, mu_type type, int t, int64_t begin,
            int64_t end) {
    const test::Guarded<std::byte> g(gradient);
    const mu_rounding rounding = {9, static_cast<uint64_t>(t), 4};
    const mu_adamw_params params = {1e-2, 0.9, 0.999, 1e-8, 0.1, 1 - std::pow(0.9, t), 1 - std::pow(0.999, t), 0.5};
    CHECK_EQUAL(mu_adamw(context, &params, block, w.data(), form == 0 ? MU_F32 : MU_BF16,
                         form == 3 ? master.data() : nullptr, g.data(), type, m_format, m.data(), m_scales.data(),
                         v_format, v.data(), v_scales.data(), form == 2 ? &rounding : nullptr, begin, end),
                MU_OK);
  }

  bool same_bits(const AdamwRun& other) const {
    const auto equal_floats = [](const test::Guarded<float>& a, const test::Guarded<float>& b) {
      return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return w.values() == other.w.values() && equal_floats(master, other.master) && m.values() == other.m.values() &&
           v.values() == other.v.values() && equal_floats(m_scales, other.m_scales) &&
           equal_floats(v_scales, other.v_scales);
  }
};

}  // namespace

MU_TEST(optimizers, adamw_is_the_formula) {
  const int64_t n = 400;
  AdamwRun run(MU_FORMAT_F32, MU_FORMAT_F32, n, 128, 0);
  std::vector<double> w(static_cast<std::size_t>(n));
  std::vector<double> m(w.size(), 0.0);
  std::vector<double> v(w.size(), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    w[static_cast<std::size_t>(i)] = test::value_at(run.w.data(), MU_F32, i);
  }
  for (int t = 1; t <= 10; ++t) {
    const std::vector<float> gradient = test::numbers(test::Kind::kNormal, n, static_cast<uint32_t>(100 + t));
    run.step(test::oracle(), test::as_type(gradient, MU_F32), MU_F32, t, 0, n);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double g = 0.5 * static_cast<double>(gradient[i]);
      w[i] *= 1 - 1e-2 * 0.1;
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      w[i] -= 1e-2 * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
      CHECK(std::fabs(test::value_at(run.w.data(), MU_F32, static_cast<int64_t>(i)) - w[i]) < 1e-6);
    }
  }
}

MU_TEST(optimizers, adamw_in_8_bits_stays_near_fp32) {
  test::for_each_tier([](const mu_context* context) {
    const int64_t n = 4096;
    AdamwRun plain(MU_FORMAT_F32, MU_FORMAT_F32, n, 128, 0);
    AdamwRun quantized(MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, n, 128, 0);
    for (int t = 1; t <= 10; ++t) {
      const std::vector<std::byte> gradient =
          test::as_type(test::numbers(test::Kind::kNormal, n, static_cast<uint32_t>(t)), MU_F32);
      plain.step(context, gradient, MU_F32, t, 0, n);
      quantized.step(context, gradient, MU_F32, t, 0, n);
    }
    int outliers = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double difference =
          test::value_at(plain.w.data(), MU_F32, i) - test::value_at(quantized.w.data(), MU_F32, i);
      outliers += std::fabs(difference) > 2e-2 ? 1 : 0;
    }
    CHECK(outliers <= n / 20);
    CHECK(!plain.same_bits(quantized));
  });
}

namespace {

/* Numbers of either sign whose magnitudes go from 1 down to 1e-9, and zeros; each block has all of it. */
std::vector<float> nine_decades(int64_t count) {
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double magnitude = std::pow(10.0, -9.0 * static_cast<double>(i % 61) / 60.0);
    x[i] = i % 64 == 63 ? 0.0f : static_cast<float>(i % 2 == 0 ? magnitude : -magnitude);
  }
  return x;
}

}  // namespace

MU_TEST(optimizers, adamw_in_8_bits_keeps_a_positive_v) {
  test::for_each_tier([](const mu_context* context) {
    for (const int64_t n : test::ragged_sizes()) {
      const test::Scope scope("n " + std::to_string(n));
      AdamwRun plain(MU_FORMAT_F32, MU_FORMAT_F32, n, 128, 0);
      AdamwRun quantized(MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, n, 128, 0);
      const std::vector<std::byte> gradient = test::as_type(nine_decades(n), MU_F32);
      plain.step(context, gradient, MU_F32, 1, 0, n);
      quantized.step(context, gradient, MU_F32, 1, 0, n);
      std::vector<uint8_t> codes(static_cast<std::size_t>(n));
      std::vector<float> scales(blocks(n, 128));
      CHECK_EQUAL(mu_quantize(context, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, 128, plain.v.data(), MU_F32, codes.data(),
                              scales.data(), 0, n),
                  MU_OK);
      CHECK(quantized.v_scales.values() == scales);
      int lifted = 0;
      for (int64_t i = 0; i < n; ++i) {
        float v;
        std::memcpy(&v, plain.v.data() + 4 * i, sizeof v);
        uint8_t& code = codes[static_cast<std::size_t>(i)];
        lifted += v > 0.0f && code == 0 ? 1 : 0;
        code = v > 0.0f && code == 0 ? uint8_t{1} : code;
      }
      CHECK(quantized.v.values() == codes);
      CHECK(n < 64 || lifted > 0);
    }
  });
}

MU_TEST(optimizers, adamw_in_8_bits_stays_put_where_gradients_end) {
  /* Embeddings of tokens that a batch lacks, alone in their blocks and beside others. */
  test::for_each_tier([](const mu_context* context) {
    const int64_t n = 1000;
    const double lr = 0.4;
    const std::vector<float> dense = nine_decades(n);
    for (const mu_format m_format : {MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_LINEAR}) {
      for (const bool others : {false, true}) {
        const test::Scope scope("m " + std::to_string(m_format) + (others ? ", beside others" : ", alone"));
        std::vector<float> w(dense.size(), 0.0f);
        std::vector<uint8_t> m = zero_state(m_format, n);
        std::vector<uint8_t> v(dense.size(), 0);
        std::vector<float> m_scales(blocks(n, 128), 0.0f);
        std::vector<float> v_scales(blocks(n, 128), 0.0f);
        std::vector<float> gradient = dense;
        double greatest = 0.0;
        for (int t = 1; t <= 60; ++t) {
          const std::vector<float> before = w;
          const mu_adamw_params params = {lr, 0.8, 0.95, 1e-8, 0.0, 1 - std::pow(0.8, t), 1 - std::pow(0.95, t), 1.0};
          CHECK_EQUAL(mu_adamw(context, &params, 128, w.data(), MU_F32, nullptr, gradient.data(), MU_F32, m_format,
                               m.data(), m_scales.data(), MU_FORMAT_INT8_DYNAMIC_UNSIGNED, v.data(), v_scales.data(),
                               nullptr, 0, n),
                      MU_OK);
          for (std::size_t i = 0; i < w.size(); ++i) {
            greatest = std::max(greatest, std::fabs(static_cast<double>(w[i]) - static_cast<double>(before[i])));
            gradient[i] = others && i % 61 == 0 ? dense[i] : 0.0f;
          }
        }
        CHECK(greatest >= 0.9 * lr);
        CHECK(greatest <= 2 * lr);
      }
    }
  });
}

MU_TEST(optimizers, adamw_agrees_in_all_tiers) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format m_format : kMomentumFormats) {
      for (const mu_format v_format : {MU_FORMAT_F32, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
        for (const mu_type gradient_type : kTypes) {
          for (const int form : {0, 1, 2, 3}) {
            for (const test::Kind kind : test::kKinds) {
              for (const int64_t n : test::ragged_sizes()) {
                const int64_t block = n % 2 == 0 ? 64 : 256;
                const test::Scope scope("m " + std::to_string(m_format) + ", v " + std::to_string(v_format) + ", form " +
                                        std::to_string(form) + ", " + test::name(kind) + ", n " + std::to_string(n));
                AdamwRun expected(m_format, v_format, n, block, form);
                AdamwRun got(m_format, v_format, n, block, form);
                const int64_t border = std::min(block, n);
                for (int t = 1; t <= 2; ++t) {
                  const std::vector<std::byte> gradient =
                      test::as_type(test::numbers(kind, n, static_cast<uint32_t>(t)), gradient_type);
                  expected.step(test::oracle(), gradient, gradient_type, t, 0, n);
                  got.step(context, gradient, gradient_type, t, border, n);
                  got.step(context, gradient, gradient_type, t, 0, border);
                }
                CHECK(got.same_bits(expected));
              }
            }
          }
        }
      }
    }
  });
}
