/* tiers.h - contexts of the CPU's tiers and of the emulated CUDA backend. */
#ifndef MUONIUM_TEST_TIERS_H
#define MUONIUM_TEST_TIERS_H

#include <functional>
#include <memory>

#include "muonium.h"

namespace test {

struct CloseContext {
  void operator()(mu_context* context) const { mu_context_destroy(context); }
};
using Context = std::unique_ptr<mu_context, CloseContext>;

/* Null when this processor cannot run the tier. */
Context open_tier(mu_tier tier);
/* The scalar tier: the plain implementation that the others are compared with. */
const mu_context* oracle();
/*
 * Calls body for each tier that this processor runs and for the emulated CUDA backend, in a Scope that names it; says which
 * it cannot. MU_TEST_TIER=cuda in the environment leaves out the CPU's.
 */
void for_each_tier(const std::function<void(const mu_context*)>& body);
/* Where what is asked of the two differs: sums in another order, tensor cores. */
bool is_cuda(const mu_context* context);
/*
 * Whether a sum of squares is that of the oracle: to the bit, but on CUDA, which adds up in an order of its own, and to
 * kMomentumSum that of the momentum, of which the oracle adds some in FP32.
 */
inline constexpr double kMomentumSum = 0x1p-21;
bool is_sum(const mu_context* context, double sum, double expected, double tolerance = 1e-13);

}  // namespace test

#endif
