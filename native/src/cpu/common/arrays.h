/* arrays.h - the arrays of a network as the CPU has them: floats. The entry points refuse every other type. */
#ifndef MUONIUM_CPU_ARRAYS_H
#define MUONIUM_CPU_ARRAYS_H

#include "cpu/tier.h"

namespace muonium::cpu::MU_TIER {
namespace {

[[maybe_unused, gnu::always_inline]] inline float* floats(void* array) {
  return static_cast<float*>(array);
}

[[maybe_unused, gnu::always_inline]] inline const float* floats(const void* array) {
  return static_cast<const float*>(array);
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
