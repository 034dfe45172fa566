/* tiers.h - the kernel tables of the CPU backend, one per instruction-set tier that this build has. */
#ifndef MUONIUM_CPU_TIERS_H
#define MUONIUM_CPU_TIERS_H

#include "backend.h"

namespace muonium::cpu {

namespace scalar {
extern const mu_backend_table table;
}
#if defined(MU_X86_TIERS)
namespace avx2 {
extern const mu_backend_table table;
}
namespace avx512 {
extern const mu_backend_table table;
}
/* AVX-512 with AVX512_BF16; no tier of its own to callers, for its results are the same. */
namespace avx512_bf16 {
extern const mu_backend_table table;
}
#endif

mu_tier best_tier();
bool has_bf16();
/* The processor's brand string; "" when it does not tell. */
const char* name();
/* The table of a tier, or null when this processor (or this build) cannot run it. */
const mu_backend_table* table_of(mu_tier tier);

}  // namespace muonium::cpu

#endif
