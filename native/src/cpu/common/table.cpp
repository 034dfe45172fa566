#include "cpu/tier.h"
#include "cpu/tiers.h"

#define MU_STRINGIFY(x) #x
#define MU_TIER_TEXT(x) MU_STRINGIFY(x)

namespace muonium::cpu::MU_TIER {

/* A kernel that the tier lacks is a link error (-Wl,--no-undefined). */
extern const mu_backend_table table = {
    MU_ABI_VERSION,
    static_cast<int32_t>(sizeof(mu_backend_table)),
    MU_TIER_TEXT(MU_TIER),
    nullptr,
    nullptr,
    nullptr,
#define MU_FILL(name) name,
    MU_KERNELS(MU_FILL)
#undef MU_FILL
};

}  // namespace muonium::cpu::MU_TIER
