/* tiers.h - contexts of the CPU's tiers. */
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
/* Calls body for each tier that this processor runs, in a Scope that names it; says which it cannot. */
void for_each_tier(const std::function<void(const mu_context*)>& body);

}  // namespace test

#endif
