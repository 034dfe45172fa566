/* pending.cpp - kernels that this backend does not have yet; each says so. */
#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {

mu_status gradient_sweep(const mu_context*, const mu_gradient*, int64_t, int64_t, double*, mu_step*) {
  return MU_UNSUPPORTED;
}

mu_status muon_momentum_many(const mu_context*, mu_format, int64_t, mu_type, mu_type, int32_t, const mu_muon_item*,
    int64_t, int64_t, const mu_step*, double*) {
  return MU_UNSUPPORTED;
}

mu_status muon_update_many(const mu_context*, mu_type, mu_type, const mu_muon_item*, int64_t, int64_t, const mu_step*)
    {
  return MU_UNSUPPORTED;
}

mu_status adamw_many(const mu_context*, int64_t, mu_type, mu_type, mu_format, mu_format, const mu_adamw_item*,
    int64_t, int64_t, const mu_step*) {
  return MU_UNSUPPORTED;
}

mu_status scale_many(const mu_context*, const float*, int64_t, const void*, int64_t, void*, int64_t, mu_type, int64_t,
    int64_t) {
  return MU_UNSUPPORTED;
}

mu_status attention(const mu_context*, mu_type, const void*, const void*, const void*, void*, float*, float, int64_t,
    int64_t, int64_t, int64_t, int64_t, int64_t) {
  return MU_UNSUPPORTED;
}

mu_status attention_backward(const mu_context*, mu_type, const void*, const void*, const void*, const float*, const
    void*, const float*, void*, void*, void*, float, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return MU_UNSUPPORTED;
}

}  // namespace muonium::cpu::MU_TIER
