/*
 * tier.h - included first by every kernel source. CMake compiles such a source once per tier with MU_TIER set to
 * scalar, avx2, avx512 or avx512_bf16 and with that tier's flags; all of it lives in the namespace of the tier, so that
 * no two tiers share a symbol.
 */
#ifndef MUONIUM_CPU_TIER_H
#define MUONIUM_CPU_TIER_H

#include "backend.h"

namespace muonium::cpu::MU_TIER {

/* The kernels of this tier: same names without mu_, same types as in muonium.h. */
#define MU_DECLARE_KERNEL(name) extern decltype(mu_##name) name;
MU_KERNELS(MU_DECLARE_KERNEL)
#undef MU_DECLARE_KERNEL

}  // namespace muonium::cpu::MU_TIER

#endif
