#include "tiers.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "check.h"

namespace test {
namespace {

#if defined(MU_TEST_EMULATED_CUDA)
/* The CUDA backend, its kernels compiled for the processor: work runs at once and on the host's arrays, guard pages and all. */
const mu_context* emulated_cuda() {
  static const Context context = [] {
    setenv("MU_EMULATOR_HOST_POINTERS", "1", 1);
    mu_context* fresh = nullptr;
    const mu_status status =
        mu_context_create(MU_BACKEND_CUDA, MU_TEST_EMULATED_CUDA, 0, nullptr, MU_TIER_AUTO, &fresh);
    if (status != MU_OK) {
      failed(__FILE__, __LINE__, mu_last_error());
    }
    return Context(fresh);
  }();
  return context.get();
}
#endif

bool only_cuda() {
  const char* only = std::getenv("MU_TEST_TIER");
  return only != nullptr && std::strcmp(only, "cuda") == 0;
}

}  // namespace

Context open_tier(mu_tier tier) {
  mu_context* context = nullptr;
  const mu_status status = mu_context_create(MU_BACKEND_CPU, nullptr, 0, nullptr, tier, &context);
  if (status == MU_UNSUPPORTED) {
    skipped(mu_last_error());
    return nullptr;
  }
  CHECK_EQUAL(status, MU_OK);
  return Context(context);
}

const mu_context* oracle() {
  static const Context context = open_tier(MU_TIER_SCALAR);
  return context.get();
}

void for_each_tier(const std::function<void(const mu_context*)>& body) {
  for (const mu_tier tier : {MU_TIER_SCALAR, MU_TIER_AVX2, MU_TIER_AVX512}) {
    const Context context = only_cuda() ? nullptr : open_tier(tier);
    if (context != nullptr) {
      const Scope scope(std::string("tier ") + mu_tier_name(tier));
      body(context.get());
    }
  }
#if defined(MU_TEST_EMULATED_CUDA)
  const Scope scope("emulated CUDA");
  body(emulated_cuda());
#else
  skipped("the emulator of CUDA was not built (MUONIUM_EMULATOR)");
#endif
}

bool is_cuda(const mu_context* context) {
#if defined(MU_TEST_EMULATED_CUDA)
  return context == emulated_cuda();
#else
  static_cast<void>(context);
  return false;
#endif
}

bool is_sum(const mu_context* context, double sum, double expected, double tolerance) {
  return sum == expected || (is_cuda(context) && std::fabs(sum - expected) <= tolerance * expected);
}

}  // namespace test
