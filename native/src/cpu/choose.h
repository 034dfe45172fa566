/*
 * choose.h - from a run-time type or format to a compile-time one: calls body with a value of the chosen type, of which
 * only the type is of interest.
 */
#ifndef MUONIUM_CPU_CHOOSE_H
#define MUONIUM_CPU_CHOOSE_H

#include "cpu/tier.h"
#include "math/bf16.h"

namespace muonium::cpu::MU_TIER {
namespace {

template <class Body>
mu_status for_type(mu_type type, const Body& body) {
  return type == MU_BF16 ? body(bf16{}) : body(float{});
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
