/* library_test.cpp - what the library tells about itself, and contexts. */
#include <cstring>
#include <string>

#include "check.h"
#include "muonium.h"
#include "tiers.h"

MU_TEST(library, tells_its_version) {
  CHECK_EQUAL(mu_abi_version(), MU_ABI_VERSION);
  CHECK_EQUAL(std::string(mu_version()), std::string(MU_TEST_VERSION));
}

MU_TEST(library, names_every_status_and_tier) {
  CHECK_EQUAL(std::string(mu_status_name(MU_OK)), std::string("ok"));
  CHECK_EQUAL(std::string(mu_status_name(MU_BACKEND_FAILURE)), std::string("backend failure"));
  CHECK_EQUAL(std::string(mu_tier_name(MU_TIER_AVX512)), std::string("avx512"));
  CHECK_EQUAL(std::string(mu_tier_name(test::any_number<mu_tier>(77))), std::string("unknown tier"));
}

MU_TEST(library, auto_is_the_best_tier) {
  const test::Context context = test::open_tier(MU_TIER_AUTO);
  CHECK_EQUAL(mu_context_tier(context.get()), mu_cpu_best_tier());
  CHECK(mu_cpu_best_tier() >= MU_TIER_SCALAR);
  CHECK(mu_cpu_has_bf16() == 0 || mu_cpu_best_tier() == MU_TIER_AVX512);
}

MU_TEST(library, opens_each_tier_it_claims) {
  for (int tier = MU_TIER_SCALAR; tier <= mu_cpu_best_tier(); ++tier) {
    const test::Context context = test::open_tier(static_cast<mu_tier>(tier));
    CHECK(context != nullptr);
    CHECK_EQUAL(mu_context_tier(context.get()), static_cast<mu_tier>(tier));
  }
}

MU_TEST(library, refuses_wrong_contexts) {
  mu_context* context = nullptr;
  CHECK_EQUAL(mu_context_create(MU_BACKEND_CPU, nullptr, 0, nullptr, MU_TIER_AUTO, nullptr), MU_INVALID_ARGUMENT);
  CHECK_EQUAL(std::string(mu_last_error()), std::string("mu_context_create: context is NULL"));
  CHECK_EQUAL(mu_context_create(MU_BACKEND_CPU, nullptr, 1, nullptr, MU_TIER_AUTO, &context), MU_INVALID_ARGUMENT);
  CHECK(std::strstr(mu_last_error(), "not device 1") != nullptr);
  int stream = 0;
  CHECK_EQUAL(mu_context_create(MU_BACKEND_CPU, nullptr, 0, &stream, MU_TIER_AUTO, &context), MU_INVALID_ARGUMENT);
  CHECK_EQUAL(mu_context_create(MU_BACKEND_CPU, nullptr, 0, nullptr, test::any_number<mu_tier>(9), &context),
              MU_INVALID_ARGUMENT);
  CHECK_EQUAL(mu_context_create(test::any_number<mu_backend>(5), nullptr, 0, nullptr, MU_TIER_AUTO, &context),
              MU_INVALID_ARGUMENT);
  CHECK_EQUAL(mu_context_create(MU_BACKEND_CUDA, nullptr, 0, nullptr, MU_TIER_AUTO, &context), MU_INVALID_ARGUMENT);
  CHECK(context == nullptr);
}

MU_TEST(library, destroying_nothing_is_fine) {
  CHECK_EQUAL(mu_context_destroy(nullptr), MU_OK);
  CHECK_EQUAL(mu_context_tier(nullptr), MU_TIER_AUTO);
}
