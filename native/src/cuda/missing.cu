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

mu_status quantize(const mu_context*, mu_format, int64_t, const void*, mu_type, void*, float*, int64_t, int64_t) {
  return missing("quantize");
}

mu_status dequantize(const mu_context*, mu_format, int64_t, const void*, const float*, void*, mu_type, int64_t, int64_t) {
  return missing("dequantize");
}

mu_status sum_squares(const mu_context*, const void*, mu_type, int64_t, int64_t, double*) {
  return missing("sum_squares");
}

mu_status scale(const mu_context*, float, const void*, mu_type, int64_t, void*, mu_type, int64_t, int64_t, int64_t, int64_t) {
  return missing("scale");
}

mu_status axpby(const mu_context*, float, const void*, mu_type, int64_t, float, const void*, mu_type, int64_t, void*, mu_type, int64_t, int64_t, int64_t, int64_t) {
  return missing("axpby");
}

mu_status mirror_upper(const mu_context*, void*, mu_type, int64_t, int64_t, int64_t) {
  return missing("mirror_upper");
}

mu_status muon_momentum(const mu_context*, mu_format, int64_t, const void*, mu_type, float, void*, float*, void*, mu_type, double, int32_t, int64_t, int64_t, double*) {
  return missing("muon_momentum");
}

mu_status muon_update(const mu_context*, void*, mu_type, int64_t, float*, const void*, mu_type, int64_t, float, float, const mu_rounding*, int64_t, int64_t, int64_t) {
  return missing("muon_update");
}

mu_status adamw(const mu_context*, const mu_adamw_params*, int64_t, void*, mu_type, float*, const void*, mu_type, mu_format, void*, float*, mu_format, void*, float*, const mu_rounding*, int64_t, int64_t) {
  return missing("adamw");
}

mu_status gradient_sweep(const mu_context*, const mu_gradient*, int64_t, int64_t, double*, mu_step*) {
  return missing("gradient_sweep");
}

mu_status muon_momentum_many(const mu_context*, mu_format, int64_t, mu_type, mu_type, int32_t, const mu_muon_item*,
                             int64_t, int64_t, const mu_step*, double*) {
  return missing("muon_momentum_many");
}

mu_status muon_update_many(const mu_context*, mu_type, mu_type, const mu_muon_item*, int64_t, int64_t,
                           const mu_step*) {
  return missing("muon_update_many");
}

mu_status adamw_many(const mu_context*, int64_t, mu_type, mu_type, mu_format, mu_format, const mu_adamw_item*,
                     int64_t, int64_t, const mu_step*) {
  return missing("adamw_many");
}

mu_status scale_many(const mu_context*, const float*, int64_t, const void*, int64_t, void*, int64_t, mu_type, int64_t,
                     int64_t) {
  return missing("scale_many");
}

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
