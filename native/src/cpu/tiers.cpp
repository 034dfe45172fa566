#include "cpu/tiers.h"

#if defined(MU_X86_TIERS)
#include <cpuid.h>

#include <cstring>
#endif

namespace muonium::cpu {

#if defined(MU_X86_TIERS)

namespace {

/* The built-in asks both the processor and whether the operating system keeps the registers (xgetbv). */
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* Read while the library is loaded. */
struct Brand {
  char text[49] = "";

  Brand() {
    if (__get_cpuid_max(0x80000000u, nullptr) < 0x80000004u) {
      return;
    }
    for (unsigned part = 0; part < 3; ++part) {
      unsigned registers[4] = {};
      __get_cpuid(0x80000002u + part, &registers[0], &registers[1], &registers[2], &registers[3]);
      std::memcpy(text + 16 * part, registers, sizeof registers);
    }
    std::size_t length = std::strlen(text);
    while (length > 0 && text[length - 1] == ' ') {
      text[--length] = '\0';
    }
  }
};

const Brand brand;

}  // namespace

mu_tier best_tier() {
  return has_avx512() ? MU_TIER_AVX512 : (has_avx2() ? MU_TIER_AVX2 : MU_TIER_SCALAR);
}

bool has_bf16() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

const char* name() {
  return brand.text;
}

const mu_backend_table* table_of(mu_tier tier) {
  switch (tier) {
    case MU_TIER_AUTO:
      return table_of(best_tier());
    case MU_TIER_SCALAR:
      return &scalar::table;
    case MU_TIER_AVX2:
      return has_avx2() ? &avx2::table : nullptr;
    case MU_TIER_AVX512:
      return has_bf16() ? &avx512_bf16::table : (has_avx512() ? &avx512::table : nullptr);
  }
  return nullptr;
}

#else

mu_tier best_tier() {
  return MU_TIER_SCALAR;
}

bool has_bf16() {
  return false;
}

const char* name() {
  return "";
}

const mu_backend_table* table_of(mu_tier tier) {
  return tier == MU_TIER_AUTO || tier == MU_TIER_SCALAR ? &scalar::table : nullptr;
}

#endif

}  // namespace muonium::cpu
