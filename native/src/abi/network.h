/* network.h - what the entry points of the neural network ask of a context. */
#ifndef MUONIUM_ABI_NETWORK_H
#define MUONIUM_ABI_NETWORK_H

#include "backend.h"
#include "failure.h"

namespace muonium {

/* Whether a context's arrays can be looked at here: those of a backend that opens a device cannot. */
inline bool on_host(const mu_context* context) {
  return context->table->open == nullptr;
}

/* The CPU computes networks in FP32 only; says so where more is asked of it. */
inline bool computes(const mu_context* context, mu_type type, const char* function) {
  if (type == MU_F32 || !on_host(context)) {
    return true;
  }
  fail(MU_UNSUPPORTED, "%s: type is MU_BF16, but the CPU computes networks in MU_F32 only", function);
  return false;
}

}  // namespace muonium

#endif
