/* panels.h - where the entries of a matrix in panels are; the format is described in muonium.h. */
#ifndef MUONIUM_CPU_PANELS_H
#define MUONIUM_CPU_PANELS_H

#include "cpu/tier.h"
#include "math/bf16.h"

namespace muonium::cpu::MU_TIER {
namespace {

constexpr int64_t kPanelRows = MU_PANEL_ROWS;

constexpr int64_t rounded_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

/* Pairs of depth that a panel has. */
constexpr int64_t pairs_of(int64_t depth) {
  return rounded_up(depth, MU_PANEL_DEPTH) / 2;
}

/* Pairs of depth that a product reads. */
constexpr int64_t pairs_read(int64_t depth) {
  return (depth + 1) / 2;
}

}  // namespace
}  // namespace muonium::cpu::MU_TIER

#endif
