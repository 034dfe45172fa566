/* fp8.h - the FP8 block formats of the CPU's tiers, which quantize and dequantize hand over to. */
#ifndef MUONIUM_CPU_COMMON_FP8_H
#define MUONIUM_CPU_COMMON_FP8_H

#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {

mu_status quantize_fp8(mu_format format, int64_t block, const void* x, mu_type x_type, void* codes, float* scales,
                       int64_t begin, int64_t end);
mu_status dequantize_fp8(mu_format format, int64_t block, const void* codes, const float* scales, void* out,
                         mu_type out_type, int64_t begin, int64_t end);

namespace {

inline bool is_fp8(mu_format format) {
  return format == MU_FORMAT_FP8_E4M3 || format == MU_FORMAT_FP8_E5M2;
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
