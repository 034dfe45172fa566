/* pending.cpp - kernels that this backend does not have yet; each says so. */
#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {

mu_status attention(const mu_context*, mu_type, const void*, const void*, const void*, void*, float*, float, int64_t,
    int64_t, int64_t, int64_t, int64_t, int64_t) {
  return MU_UNSUPPORTED;
}

mu_status attention_backward(const mu_context*, mu_type, const void*, const void*, const void*, const float*, const
    void*, const float*, void*, void*, void*, float, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return MU_UNSUPPORTED;
}

}  // namespace muonium::cpu::MU_TIER
