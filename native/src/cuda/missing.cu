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

mu_status rms_norm(const mu_context*, mu_type, const void*, void*, float*, float, int64_t, int64_t, int64_t) {
  return missing("rms_norm");
}

mu_status rms_norm_backward(const mu_context*, mu_type, const void*, const void*, const float*, const void*, void*, int64_t, int64_t, int64_t) {
  return missing("rms_norm_backward");
}

mu_status rotary_norm(const mu_context*, mu_type, void*, float*, const float*, float, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("rotary_norm");
}

mu_status rotary_norm_backward(const mu_context*, mu_type, const void*, const float*, const float*, void*, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("rotary_norm_backward");
}

mu_status softmax_causal(const mu_context*, float*, int64_t, float, float*, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("softmax_causal");
}

mu_status softmax_causal_backward(const mu_context*, float*, float*, int64_t, float, const float*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("softmax_causal_backward");
}

mu_status head_dots(const mu_context*, mu_type, const void*, const void*, float*, int64_t, int64_t, int64_t, int64_t, int64_t) {
  return missing("head_dots");
}

mu_status relu2(const mu_context*, mu_type, const void*, void*, int64_t, int64_t) {
  return missing("relu2");
}

mu_status relu2_backward(const mu_context*, mu_type, void*, void*, int64_t, int64_t) {
  return missing("relu2_backward");
}

mu_status swiglu(const mu_context*, mu_type, const void*, const void*, void*, int64_t, int64_t) {
  return missing("swiglu");
}

mu_status swiglu_backward(const mu_context*, mu_type, void*, void*, void*, int64_t, int64_t) {
  return missing("swiglu_backward");
}

mu_status cross_entropy(const mu_context*, mu_type, void*, float, const int32_t*, double*, int64_t, int64_t, int64_t, int64_t) {
  return missing("cross_entropy");
}

mu_status cross_entropy_backward(const mu_context*, mu_type, void*, float, const int32_t*, double*, int64_t, float, int64_t, int64_t, int64_t) {
  return missing("cross_entropy_backward");
}

mu_status gather_rows(const mu_context*, mu_type, const void*, const int32_t*, void*, int64_t, int64_t, int64_t, int64_t) {
  return missing("gather_rows");
}

mu_status scatter_add_rows(const mu_context*, mu_type, const void*, const int32_t*, int64_t, void*, mu_type, int64_t, int64_t, int64_t) {
  return missing("scatter_add_rows");
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
