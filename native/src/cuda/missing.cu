/*
 * missing.cu - the kernels of the table that CUDA does not have yet: each says so. Whoever writes one deletes its lines
 * here; the file goes with the last.
 */
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {
namespace {

mu_status missing(const char* name) {
  return fail(MU_UNSUPPORTED, "mu_%s: the CUDA backend does not have this kernel", name);
}

}  // namespace

mu_status attention(const mu_context*, mu_type, const void*, const void*, const void*, void*, float*, float, int64_t,
                    int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("attention");
}

mu_status attention_backward(const mu_context*, mu_type, const void*, const void*, const void*, const float*,
                             const void*, const float*, void*, void*, void*, float, int64_t, int64_t, int64_t,
                             int64_t, int64_t, int64_t) {
  return missing("attention_backward");
}

}  // namespace muonium::cuda
