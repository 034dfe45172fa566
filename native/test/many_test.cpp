/* many_test.cpp - a step over many arrays at once: what the functions for one array give, in every tier, and what is refused. */
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr mu_type kTypes[] = {MU_F32, MU_BF16};
/* None, less than a block, exactly a chunk, one more, and several with a ragged end. */
constexpr int64_t kSizes[] = {100, 0, MU_CHUNK, MU_CHUNK + 1, 1, 2 * MU_CHUNK + 777};
constexpr std::size_t kCount = sizeof kSizes / sizeof *kSizes;

std::size_t bytes_of(mu_type type) {
  return type == MU_BF16 ? 2 : 4;
}

int64_t chunks_of(int64_t elements) {
  return (elements + MU_CHUNK - 1) / MU_CHUNK;
}

int64_t all_chunks() {
  int64_t chunks = 0;
  for (const int64_t size : kSizes) {
    chunks += chunks_of(size);
  }
  return chunks;
}

std::vector<uint8_t> zero_state(mu_format format, int64_t n) {
  const std::size_t bytes = static_cast<std::size_t>(n) * (format == MU_FORMAT_F32 ? 4 : 1);
  return std::vector<uint8_t>(bytes, format == MU_FORMAT_INT8_DYNAMIC_SIGNED ? 127 : 0);
}

/* One array with all that either optimizer keeps for it, each part flush against a page that cannot be touched. */
struct Array {
  int64_t n;
  test::Guarded<std::byte> gradient;
  test::Guarded<std::byte> direction;
  test::Guarded<std::byte> weights;
  test::Guarded<float> master;
  test::Guarded<uint8_t> m;
  test::Guarded<float> m_scales;
  test::Guarded<uint8_t> v;
  test::Guarded<float> v_scales;
  test::Guarded<std::byte> update;

  Array(int64_t size, int64_t block, mu_format m_format, mu_format v_format, mu_type gradient_type, mu_type w_type,
        mu_type u_type, uint32_t seed)
      : n(size), gradient(test::as_type(test::numbers(test::Kind::kNormal, n, seed), gradient_type)),
        direction(test::as_type(test::numbers(test::Kind::kNormal, n, seed + 100), u_type)),
        weights(test::as_type(test::numbers(test::Kind::kNormal, n, seed + 200), w_type)),
        master(test::numbers(test::Kind::kNormal, n, seed + 200)), m(zero_state(m_format, n)),
        m_scales(static_cast<std::size_t>((n + block - 1) / block)), v(zero_state(v_format, n)),
        v_scales(m_scales.size()), update(static_cast<std::size_t>(n) * bytes_of(u_type)) {}

  bool same_bits(const Array& other) const {
    return weights.values() == other.weights.values() && master.values() == other.master.values() &&
           m.values() == other.m.values() && m_scales.values() == other.m_scales.values() &&
           v.values() == other.v.values() && v_scales.values() == other.v_scales.values() &&
           update.values() == other.update.values();
  }
};

using Arrays = std::vector<std::unique_ptr<Array>>;

Arrays arrays(int64_t block, mu_format m_format, mu_format v_format, mu_type gradient_type, mu_type w_type,
              mu_type u_type) {
  Arrays all;
  uint32_t seed = 1;
  for (const int64_t size : kSizes) {
    all.push_back(std::make_unique<Array>(size, block, m_format, v_format, gradient_type, w_type, u_type, seed++));
  }
  return all;
}

mu_step taken(double scale) {
  return mu_step{1.0, INFINITY, 0.0, 42, 0.0, 1.0, scale, -1};
}

mu_rounding rounding_of(const mu_step& step, std::size_t index) {
  return mu_rounding{step.seed, 7, 1000 + index};
}

std::vector<mu_muon_item> muon_items(const Arrays& all, bool with_master, int32_t stochastic) {
  std::vector<mu_muon_item> items;
  int64_t chunk = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Array& one = *all[i];
    const double order = static_cast<double>(i);
    items.push_back(mu_muon_item{one.gradient.data(), one.m.data(), one.m_scales.data(), one.update.data(),
                                 one.direction.data(), one.weights.data(), with_master ? one.master.data() : nullptr,
                                 one.n, chunk, 0.9 - 0.01 * order, 0.99f, static_cast<float>(0.02 + order), 7, 1000 + i,
                                 stochastic, 0});
    chunk += chunks_of(one.n);
  }
  return items;
}

mu_adamw_params params_of(std::size_t index) {
  return mu_adamw_params{0.01 * static_cast<double>(index + 1), 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 0.3};
}

std::vector<mu_adamw_item> adamw_items(const Arrays& all, bool with_master, int32_t stochastic) {
  std::vector<mu_adamw_item> items;
  int64_t chunk = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Array& one = *all[i];
    mu_adamw_params params = params_of(i);
    params.gradient_scale = NAN; /* ignored */
    items.push_back(mu_adamw_item{one.weights.data(), with_master ? one.master.data() : nullptr, one.gradient.data(),
                                  one.m.data(), one.m_scales.data(), one.v.data(), one.v_scales.data(), one.n, chunk,
                                  params, 7, 1000 + i, stochastic, 0});
    chunk += chunks_of(one.n);
  }
  return items;
}

std::vector<mu_gradient> gradients_of(const Arrays& all, mu_type type) {
  std::vector<mu_gradient> gradients;
  int64_t chunk = 0;
  for (const std::unique_ptr<Array>& one : all) {
    gradients.push_back(mu_gradient{one->gradient.data(), one->n, chunk, 1e30, type, 0});
    chunk += chunks_of(one->n);
  }
  return gradients;
}

void check_same(const Arrays& got, const Arrays& expected) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const test::Scope scope("array " + std::to_string(i) + " of " + std::to_string(got[i]->n) + " elements");
    CHECK(got[i]->same_bits(*expected[i]));
  }
}

int64_t count_of(const Arrays& all) {
  return static_cast<int64_t>(all.size());
}

struct WeightForm {
  const char* name;
  mu_type type;
  bool master;
  int32_t stochastic;
};
constexpr WeightForm kWeightForms[] = {{"F32", MU_F32, false, 1},
                                       {"bf16 to nearest", MU_BF16, false, 0},
                                       {"bf16 at random", MU_BF16, false, 1},
                                       {"bf16 with a master", MU_BF16, true, 1}};

}  // namespace

MU_TEST(many, sweep_decides) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_type type : kTypes) {
      const Arrays all = arrays(128, MU_FORMAT_F32, MU_FORMAT_F32, type, MU_F32, MU_F32);
      std::vector<mu_gradient> gradients = gradients_of(all, type);
      double sum = 0.0;
      for (const std::unique_ptr<Array>& one : all) {
        for (int64_t i = 0; i < one->n; ++i) {
          const double g = test::value_at(one->gradient.data(), type, i);
          sum += g * g;
        }
      }
      const double norm = std::sqrt(sum) * 0.25;
      for (const double clip_norm : {static_cast<double>(INFINITY), 2.0 * norm, 0.5 * norm}) {
        mu_step step{0.25, clip_norm, 1e-6, 42, NAN, NAN, NAN, 99};
        test::Guarded<double> partial(static_cast<std::size_t>(all_chunks()));
        CHECK_EQUAL(mu_gradient_sweep(context, gradients.data(), count_of(all), all_chunks(), partial.data(), &step),
                    MU_OK);
        CHECK(std::fabs(step.norm - norm) <= 1e-13 * norm);
        const double clip = std::fmin(1.0, clip_norm / (step.norm + 1e-6));
        CHECK(std::fabs(step.clip - clip) <= 1e-15);
        CHECK_EQUAL(step.scale, 0.25 * step.clip);
        CHECK_EQUAL(step.first_non_finite, -1);
        CHECK_EQUAL(step.seed, uint64_t{42});
        CHECK_EQUAL(step.gradient_scale, 0.25);
      }
    }
  });
}

MU_TEST(many, sweep_is_the_same_twice) {
  test::for_each_tier([](const mu_context* context) {
    const Arrays all = arrays(128, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, MU_F32, MU_F32);
    const std::vector<mu_gradient> gradients = gradients_of(all, MU_F32);
    mu_step first = taken(1.0);
    mu_step second = taken(1.0);
    std::vector<double> partial(static_cast<std::size_t>(all_chunks()));
    for (mu_step* step : {&first, &second}) {
      CHECK_EQUAL(mu_gradient_sweep(context, gradients.data(), count_of(all), all_chunks(), partial.data(), step), MU_OK);
    }
    CHECK_EQUAL(first.norm, second.norm);
    CHECK(first.norm > 100.0);
  });
}

MU_TEST(many, sweep_names_the_first_gradient_that_cannot_be_used) {
  test::for_each_tier([](const mu_context* context) {
    for (const float wrong : {NAN, INFINITY, -INFINITY, 1e20f}) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{3}, std::size_t{5}}) {
        const Arrays all = arrays(128, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, MU_F32, MU_F32);
        std::vector<mu_gradient> gradients = gradients_of(all, MU_F32);
        for (mu_gradient& gradient : gradients) {
          gradient.limit = 1e18;
        }
        for (const std::size_t spoiled : {at, std::size_t{5}}) {
          Array& one = *all[spoiled];
          std::memcpy(one.gradient.data() + (one.n - 1) * 4, &wrong, 4);
        }
        mu_step step{1.0, 1.0, 1e-6, 42, NAN, NAN, NAN, -1};
        std::vector<double> partial(static_cast<std::size_t>(all_chunks()));
        CHECK_EQUAL(mu_gradient_sweep(context, gradients.data(), count_of(all), all_chunks(), partial.data(), &step),
                    MU_OK);
        CHECK_EQUAL(step.first_non_finite, static_cast<int64_t>(at));
      }
    }
  });
}

MU_TEST(many, sweep_of_nothing) {
  test::for_each_tier([](const mu_context* context) {
    const mu_gradient none{};
    double partial = 0.0;
    mu_step step{1.0, 1.0, 1e-6, 42, NAN, NAN, NAN, 99};
    CHECK_EQUAL(mu_gradient_sweep(context, &none, 0, 0, &partial, &step), MU_OK);
    CHECK_EQUAL(step.norm, 0.0);
    CHECK_EQUAL(step.clip, 1.0);
    CHECK_EQUAL(step.first_non_finite, -1);
  });
}

MU_TEST(many, momentum_is_that_of_each_array) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : {MU_FORMAT_F32, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_SIGNED}) {
      for (const mu_type gradient_type : kTypes) {
        for (const mu_type update_type : kTypes) {
          for (const int64_t block : {64, 128, 2048}) {
            const test::Scope scope("format " + std::to_string(format) + ", gradient " + std::to_string(gradient_type) +
                                    ", update " + std::to_string(update_type) + ", block " + std::to_string(block));
            const Arrays expected = arrays(block, format, MU_FORMAT_F32, gradient_type, MU_F32, update_type);
            const Arrays got = arrays(block, format, MU_FORMAT_F32, gradient_type, MU_F32, update_type);
            const std::vector<mu_muon_item> items = muon_items(got, false, 0);
            const mu_step step = taken(0.3);
            test::Guarded<double> sums(static_cast<std::size_t>(all_chunks()));
            for (int32_t round = 0; round < 2; ++round) {
              CHECK_EQUAL(mu_muon_momentum_many(context, format, block, gradient_type, update_type, round, items.data(),
                                                count_of(got), all_chunks(), &step, sums.data()),
                          MU_OK);
              for (std::size_t i = 0; i < kCount; ++i) {
                Array& one = *expected[i];
                for (int64_t chunk = 0; chunk < chunks_of(one.n); ++chunk) {
                  double sum = 0.0;
                  const int64_t end = std::min((chunk + 1) * MU_CHUNK, one.n);
                  CHECK_EQUAL(mu_muon_momentum(test::oracle(), format, block, one.gradient.data(), gradient_type,
                                               0.3f, one.m.data(), one.m_scales.data(), one.update.data(), update_type,
                                               items[i].beta, round, chunk * MU_CHUNK, end, &sum),
                              MU_OK);
                  const double of_chunk = sums[static_cast<std::size_t>(items[i].first_chunk + chunk)];
                  CHECK(sum > 0.0 && test::is_sum(context, of_chunk, sum, test::kMomentumSum));
                }
              }
              check_same(got, expected);
            }
          }
        }
      }
    }
  });
}

MU_TEST(many, update_is_that_of_each_array) {
  test::for_each_tier([](const mu_context* context) {
    for (const WeightForm& form : kWeightForms) {
      for (const mu_type direction_type : kTypes) {
        const test::Scope scope(std::string("weights ") + form.name + ", direction " + std::to_string(direction_type));
        const Arrays expected = arrays(128, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, form.type, direction_type);
        const Arrays got = arrays(128, MU_FORMAT_F32, MU_FORMAT_F32, MU_F32, form.type, direction_type);
        const std::vector<mu_muon_item> items = muon_items(got, form.master, form.stochastic);
        const mu_step step = taken(1.0);
        CHECK_EQUAL(mu_muon_update_many(context, form.type, direction_type, items.data(), count_of(got), all_chunks(),
                                        &step),
                    MU_OK);
        for (std::size_t i = 0; i < kCount; ++i) {
          Array& one = *expected[i];
          const mu_rounding rounding = rounding_of(step, i);
          CHECK_EQUAL(mu_muon_update(test::oracle(), one.weights.data(), form.type, one.n,
                                     form.master ? one.master.data() : nullptr, one.direction.data(), direction_type,
                                     one.n, items[i].decay, items[i].rate, form.stochastic != 0 ? &rounding : nullptr,
                                     one.n, 0, 1),
                      MU_OK);
        }
        check_same(got, expected);
      }
    }
  });
}

MU_TEST(many, adamw_is_that_of_each_array) {
  test::for_each_tier([](const mu_context* context) {
    for (const WeightForm& form : kWeightForms) {
      for (const mu_format m_format : {MU_FORMAT_F32, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_SIGNED}) {
        for (const mu_format v_format : {MU_FORMAT_F32, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
          for (const mu_type gradient_type : kTypes) {
            const int64_t block = gradient_type == MU_F32 ? 128 : 512;
            const test::Scope scope(std::string("weights ") + form.name + ", m " + std::to_string(m_format) + ", v " +
                                    std::to_string(v_format) + ", block " + std::to_string(block));
            const Arrays expected = arrays(block, m_format, v_format, gradient_type, form.type, MU_F32);
            const Arrays got = arrays(block, m_format, v_format, gradient_type, form.type, MU_F32);
            const std::vector<mu_adamw_item> items = adamw_items(got, form.master, form.stochastic);
            const mu_step step = taken(0.3);
            for (int round = 0; round < 2; ++round) {
              CHECK_EQUAL(mu_adamw_many(context, block, form.type, gradient_type, m_format, v_format, items.data(),
                                        count_of(got), all_chunks(), &step),
                          MU_OK);
              for (std::size_t i = 0; i < kCount; ++i) {
                Array& one = *expected[i];
                const mu_rounding rounding = rounding_of(step, i);
                const mu_adamw_params params = params_of(i);
                CHECK_EQUAL(mu_adamw(test::oracle(), &params, block, one.weights.data(), form.type,
                                     form.master ? one.master.data() : nullptr, one.gradient.data(), gradient_type,
                                     m_format, one.m.data(), one.m_scales.data(), v_format, one.v.data(),
                                     one.v_scales.data(), form.stochastic != 0 ? &rounding : nullptr, 0, one.n),
                            MU_OK);
              }
              check_same(got, expected);
            }
          }
        }
      }
    }
  });
}

MU_TEST(many, a_step_that_is_left_out_changes_nothing) {
  test::for_each_tier([](const mu_context* context) {
    const auto fresh = [] {
      return arrays(128, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, MU_F32, MU_F32, MU_F32);
    };
    const Arrays untouched = fresh();
    const Arrays got = fresh();
    mu_step step = taken(1.0);
    step.first_non_finite = 0;
    std::vector<double> sums(static_cast<std::size_t>(all_chunks()), -1.0);
    const std::vector<mu_muon_item> muon = muon_items(got, false, 0);
    const std::vector<mu_adamw_item> adamw = adamw_items(got, false, 0);
    CHECK_EQUAL(mu_muon_momentum_many(context, MU_FORMAT_INT8_LINEAR, 128, MU_F32, MU_F32, 1, muon.data(), count_of(got),
                                      all_chunks(), &step, sums.data()),
                MU_OK);
    CHECK_EQUAL(mu_muon_update_many(context, MU_F32, MU_F32, muon.data(), count_of(got), all_chunks(), &step), MU_OK);
    CHECK_EQUAL(mu_adamw_many(context, 128, MU_F32, MU_F32, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_UNSIGNED,
                              adamw.data(), count_of(got), all_chunks(), &step),
                MU_OK);
    check_same(got, untouched);
    for (const double sum : sums) {
      CHECK_EQUAL(sum, -1.0);
    }
  });
}

MU_TEST(many, scale_multiplies_each_array_by_its_own_factor) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_type type : kTypes) {
      for (const int64_t n : {int64_t{1}, int64_t{77}, int64_t{5000}}) {
        const int64_t count = 3;
        const int64_t stride = n + 5;
        const float alpha[] = {0.5f, 99.0f, -3.0f, 99.0f, 1e-3f};
        const std::size_t all = static_cast<std::size_t>(stride * count - 5);
        const std::vector<float> x = test::numbers(test::Kind::kNormal, static_cast<int64_t>(all), 5);
        const test::Guarded<std::byte> from(test::as_type(x, type));
        test::Guarded<std::byte> to(test::as_type(std::vector<float>(all, 8.0f), type));
        test::Guarded<std::byte> same(from.values());
        CHECK_EQUAL(mu_scale_many(context, alpha, 2, from.data(), stride, to.data(), stride, type, n, count), MU_OK);
        CHECK_EQUAL(mu_scale_many(context, alpha, 2, same.data(), stride, same.data(), stride, type, n, count), MU_OK);
        for (int64_t i = 0; i < static_cast<int64_t>(all); ++i) {
          const double old = test::value_at(from.data(), type, i);
          const bool inside = i % stride < n;
          const float product = alpha[i / stride * 2] * static_cast<float>(old);
          const double expected =
              !inside ? 8.0 : static_cast<double>(type == MU_BF16 ? test::from_bf16(test::to_bf16(product)) : product);
          CHECK_EQUAL(test::value_at(to.data(), type, i), expected);
          CHECK_EQUAL(test::value_at(same.data(), type, i), inside ? expected : old);
        }
        /* A stride of 0: one factor for all. */
        CHECK_EQUAL(mu_scale_many(context, alpha, 0, from.data(), stride, to.data(), stride, type, n, count), MU_OK);
        CHECK_EQUAL(test::value_at(to.data(), type, 2 * stride), 0.5 * test::value_at(from.data(), type, 2 * stride));
      }
    }
  });
}

namespace {

/* Calls that are right, to be spoiled. */
struct Call {
  const mu_context* context = test::oracle();
  Arrays all = arrays(128, MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, MU_F32, MU_F32, MU_F32);
  std::vector<mu_gradient> gradients = gradients_of(all, MU_F32);
  std::vector<mu_muon_item> muon = muon_items(all, false, 0);
  std::vector<mu_adamw_item> adamw = adamw_items(all, false, 0);
  mu_format format = MU_FORMAT_INT8_LINEAR;
  mu_format v_format = MU_FORMAT_INT8_DYNAMIC_UNSIGNED;
  mu_type type = MU_F32;
  int64_t block = 128;
  int64_t count = static_cast<int64_t>(kCount);
  int64_t chunks = all_chunks();
  mu_step step = taken(1.0);
  mu_step* step_in = &step;
  std::vector<double> sums = std::vector<double>(static_cast<std::size_t>(all_chunks()));
  double* sums_in = sums.data();
  float alpha[2] = {1.0f, 1.0f};
  float x[8] = {};
  int64_t alpha_stride = 1;
  int64_t stride = 4;
};

mu_status sweep(Call& c) {
  return mu_gradient_sweep(c.context, c.gradients.data(), c.count, c.chunks, c.sums_in, c.step_in);
}
mu_status momentum(Call& c) {
  return mu_muon_momentum_many(c.context, c.format, c.block, c.type, c.type, 1, c.muon.data(), c.count, c.chunks,
                               c.step_in, c.sums_in);
}
mu_status update(Call& c) {
  return mu_muon_update_many(c.context, c.type, c.type, c.muon.data(), c.count, c.chunks, c.step_in);
}
mu_status adamw(Call& c) {
  return mu_adamw_many(c.context, c.block, c.type, c.type, c.format, c.v_format, c.adamw.data(), c.count, c.chunks,
                       c.step_in);
}
mu_status scale(Call& c) {
  return mu_scale_many(c.context, c.alpha, c.alpha_stride, c.x, c.stride, c.x, c.stride, c.type, 4, 2);
}

using Function = mu_status (*)(Call&);

void refuses(Function function, const std::function<void(Call&)>& spoil, const std::string& words) {
  Call call;
  CHECK_EQUAL(function(call), MU_OK);
  spoil(call);
  const test::Scope scope(words);
  CHECK_EQUAL(function(call), MU_INVALID_ARGUMENT);
  CHECK(std::strstr(mu_last_error(), words.c_str()) != nullptr);
}

}  // namespace

MU_TEST(many, wrong_arguments_are_refused) {
  for (const Function function : {sweep, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.context = nullptr; }, "context is NULL");
    refuses(function, [](Call& c) { c.count = -1; }, "count is -1");
    refuses(function, [](Call& c) { c.chunks = -1; }, "chunks is -1");
    refuses(function, [](Call& c) { c.chunks += 1; }, "but the records have");
    refuses(function, [](Call& c) { c.step_in = nullptr; }, "step is NULL");
    refuses(
        function,
        [](Call& c) {
          c.gradients[3].first_chunk = c.muon[3].first_chunk = c.adamw[3].first_chunk = 9;
        },
        "[3]: first_chunk");
    refuses(
        function, [](Call& c) { c.gradients[2].elements = c.muon[2].elements = c.adamw[2].elements = -1; },
        "[2]: elements");
  }
  for (const Function function : {sweep, momentum, adamw}) {
    refuses(
        function,
        [](Call& c) {
          c.gradients[0].gradient = nullptr;
          c.muon[0].gradient = nullptr;
          c.adamw[0].gradient = nullptr;
        },
        "[0]: gradient is NULL");
  }
  for (const Function function : {update, adamw}) {
    refuses(function, [](Call& c) { c.muon[5].weights = c.adamw[5].weights = nullptr; }, "[5]: weights is NULL");
    refuses(
        function, [](Call& c) { c.muon[0].master = c.adamw[0].master = c.all[0]->master.data(); },
        "[0]: master is for bf16");
    refuses(function, [](Call& c) { c.muon[0].stochastic = c.adamw[0].stochastic = 2; }, "[0]: stochastic");
  }
  for (const Function function : {momentum, adamw}) {
    refuses(function, [](Call& c) { c.block = 100; }, "block is 100");
    refuses(function, [](Call& c) { c.format = MU_FORMAT_INT8_DYNAMIC_UNSIGNED; }, "has a sign");
    refuses(function, [](Call& c) { c.type = test::any_number<mu_type>(7); }, "_type is 7");
  }
  refuses(sweep, [](Call& c) { c.sums_in = nullptr; }, "partial is NULL");
  refuses(sweep, [](Call& c) { c.gradients[1].type = 9; }, "[1]: type");
  refuses(sweep, [](Call& c) { c.gradients[4].limit = NAN; }, "[4]: limit");
  refuses(sweep, [](Call& c) { c.step.gradient_scale = 0.0; }, "step->gradient_scale");
  refuses(sweep, [](Call& c) { c.step.clip_norm = NAN; }, "step->clip_norm");
  refuses(sweep, [](Call& c) { c.step.clip_epsilon = -1.0; }, "step->clip_epsilon");
  refuses(momentum, [](Call& c) { c.sums_in = nullptr; }, "sums is NULL");
  refuses(momentum, [](Call& c) { c.muon[0].scales = nullptr; }, "[0]: momentum or its scales");
  refuses(momentum, [](Call& c) { c.muon[2].update = nullptr; }, "[2]: update");
  refuses(momentum, [](Call& c) { c.muon[2].beta = 1.5; }, "[2]: beta");
  refuses(update, [](Call& c) { c.muon[2].direction = nullptr; }, "[2]: direction");
  refuses(update, [](Call& c) { c.muon[2].decay = NAN; }, "[2]: decay");
  refuses(update, [](Call& c) { c.muon[2].rate = INFINITY; }, "[2]: rate");
  refuses(adamw, [](Call& c) { c.v_format = MU_FORMAT_INT8_LINEAR; }, "a linear v is unstable");
  refuses(adamw, [](Call& c) { c.adamw[2].v = nullptr; }, "[2]: v or its scales");
  refuses(adamw, [](Call& c) { c.adamw[2].m = nullptr; }, "[2]: m or its scales");
  refuses(adamw, [](Call& c) { c.adamw[2].params.beta2 = 2.0; }, "beta2 is 2");
  refuses(scale, [](Call& c) { c.alpha_stride = -1; }, "alpha_stride is -1");
  refuses(scale, [](Call& c) { c.stride = 3; }, "x_stride is 3");
}
