/* smoke_test.cpp - one call of every kernel in every tier, on numbers small enough to follow by hand. */
#include <cmath>
#include <vector>

#include "check.h"
#include "muonium.h"
#include "tiers.h"

MU_TEST(smoke, linear_codes_round_half_to_even) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> x(128, 0.0f);
    x[0] = 127.0f;
    x[1] = 0.5f;
    x[2] = 1.5f;
    x[3] = -2.5f;
    x[4] = 2.4999f;
    std::vector<int8_t> codes(128, 99);
    float scale = 0.0f;
    CHECK_EQUAL(mu_quantize(context, MU_FORMAT_INT8_LINEAR, 128, x.data(), MU_F32, codes.data(), &scale, 0, 128),
                MU_OK);
    CHECK_EQUAL(scale, 1.0f);
    CHECK_EQUAL(int{codes[0]}, 127);
    CHECK_EQUAL(int{codes[1]}, 0);
    CHECK_EQUAL(int{codes[2]}, 2);
    CHECK_EQUAL(int{codes[3]}, -2);
    CHECK_EQUAL(int{codes[4]}, 2);
    std::vector<float> back(128, -1.0f);
    CHECK_EQUAL(mu_dequantize(context, MU_FORMAT_INT8_LINEAR, 128, codes.data(), &scale, back.data(), MU_F32, 0, 128),
                MU_OK);
    CHECK_EQUAL(back[3], -2.0f);
    CHECK_EQUAL(back[5], 0.0f);
  });
}

MU_TEST(smoke, momentum_of_a_first_step) {
  test::for_each_tier([](const mu_context* context) {
    const std::vector<float> gradient(100, 8.0f);
    std::vector<int8_t> codes(100, 0);
    std::vector<float> scales(2, 0.0f);
    std::vector<float> update(100, 0.0f);
    double sum = 0.0;
    CHECK_EQUAL(mu_muon_momentum(context, MU_FORMAT_INT8_LINEAR, 64, gradient.data(), MU_F32, 0.5f, codes.data(),
                                 scales.data(), update.data(), MU_F32, 0.75, 1, 0, 100, &sum),
                MU_OK);
    /* g = 4, m = 0.25 * 4 = 1, u = 0.25 * 4 + 0.75 * 1 = 1.75. */
    CHECK_EQUAL(update[0], 1.75f);
    CHECK_EQUAL(update[99], 1.75f);
    CHECK_EQUAL(sum, 100 * 1.75 * 1.75);
    CHECK_EQUAL(int{codes[99]}, 127);
    CHECK_EQUAL(scales[1], 1.0f / 127.0f);
  });
}

MU_TEST(smoke, update_decays_and_moves) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> w = {1.0f, 2.0f, 9.0f, 3.0f, 4.0f, 9.0f};
    const std::vector<float> o = {1.0f, -1.0f, 0.5f, 2.0f};
    CHECK_EQUAL(mu_muon_update(context, w.data(), MU_F32, 3, nullptr, o.data(), MU_F32, 2, 0.5f, 0.25f, nullptr, 2, 0,
                               2),
                MU_OK);
    CHECK(w == (std::vector<float>{0.25f, 1.25f, 9.0f, 1.375f, 1.5f, 9.0f}));
  });
}

MU_TEST(smoke, adamw_moves_by_the_rate_at_first) {
  test::for_each_tier([](const mu_context* context) {
    const mu_adamw_params params = {0.01, 0.9, 0.999, 1e-8, 0.0, 1 - 0.9, 1 - 0.999, 1.0};
    const std::vector<float> gradient = {3.0f, -0.5f, 0.0f};
    std::vector<float> w(3, 1.0f);
    std::vector<float> m(3, 0.0f);
    std::vector<float> v(3, 0.0f);
    CHECK_EQUAL(mu_adamw(context, &params, 128, w.data(), MU_F32, nullptr, gradient.data(), MU_F32, MU_FORMAT_F32,
                         m.data(), nullptr, MU_FORMAT_F32, v.data(), nullptr, nullptr, 0, 3),
                MU_OK);
    CHECK(std::fabs(w[0] - 0.99f) < 1e-6f);
    CHECK(std::fabs(w[1] - 1.01f) < 1e-6f);
    CHECK_EQUAL(w[2], 1.0f);
  });
}

MU_TEST(smoke, passes) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> x = {1.0f, 2.0f, 3.0f, 4.0f};
    double sum = 0.0;
    CHECK_EQUAL(mu_sum_squares(context, x.data(), MU_F32, 1, 4, &sum), MU_OK);
    CHECK_EQUAL(sum, 29.0);
    CHECK_EQUAL(mu_scale(context, 2.0f, x.data(), MU_F32, 2, x.data(), MU_F32, 2, 2, 1, 2), MU_OK);
    CHECK(x == (std::vector<float>{1.0f, 2.0f, 6.0f, 8.0f}));
    const std::vector<float> y = {1.0f, 1.0f, 1.0f, 1.0f};
    CHECK_EQUAL(mu_axpby(context, 1.0f, x.data(), MU_F32, 2, -1.0f, y.data(), MU_F32, 2, x.data(), MU_F32, 2, 2, 0, 2),
                MU_OK);
    CHECK(x == (std::vector<float>{0.0f, 1.0f, 5.0f, 7.0f}));
    CHECK_EQUAL(mu_mirror_upper(context, x.data(), MU_F32, 2, 0, 2), MU_OK);
    CHECK(x == (std::vector<float>{0.0f, 1.0f, 1.0f, 7.0f}));
  });
}
