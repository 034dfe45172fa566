#include "tiers.h"

#include "check.h"

namespace test {

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
    const Context context = open_tier(tier);
    if (context != nullptr) {
      const Scope scope(std::string("tier ") + mu_tier_name(tier));
      body(context.get());
    }
  }
}

}  // namespace test
