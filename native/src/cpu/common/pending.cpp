/* pending.cpp - kernels that this backend does not have yet; each says so. */
#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {

}  // namespace muonium::cpu::MU_TIER
