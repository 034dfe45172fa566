/* library.cpp - what the library tells about itself and the processor. */
#include "cpu/tiers.h"
#include "muonium.h"

int32_t mu_abi_version(void) {
  return MU_ABI_VERSION;
}

const char* mu_version(void) {
  return MU_VERSION;
}

const char* mu_status_name(mu_status status) {
  switch (status) {
    case MU_OK:
      return "ok";
    case MU_INVALID_ARGUMENT:
      return "invalid argument";
    case MU_UNSUPPORTED:
      return "unsupported";
    case MU_OUT_OF_MEMORY:
      return "out of memory";
    case MU_BACKEND_UNAVAILABLE:
      return "backend unavailable";
    case MU_BACKEND_FAILURE:
      return "backend failure";
  }
  return "unknown status";
}

mu_tier mu_cpu_best_tier(void) {
  return muonium::cpu::best_tier();
}

const char* mu_tier_name(mu_tier tier) {
  switch (tier) {
    case MU_TIER_AUTO:
      return "auto";
    case MU_TIER_SCALAR:
      return "scalar";
    case MU_TIER_AVX2:
      return "avx2";
    case MU_TIER_AVX512:
      return "avx512";
  }
  return "unknown tier";
}

int32_t mu_cpu_has_bf16(void) {
  return muonium::cpu::has_bf16() ? 1 : 0;
}

const char* mu_cpu_name(void) {
  return muonium::cpu::name();
}
