/* optimizers.cpp - the entry points of Muon and AdamW. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

mu_status mu_muon_momentum(const mu_context* context, mu_format format, int64_t block, const void* gradient,
                           mu_type gradient_type, float gradient_scale, void* momentum, float* scales, void* update,
                           mu_type update_type, double beta, int32_t nesterov, int64_t begin, int64_t end,
                           double* sum_squares) {
  const Arguments check("mu_muon_momentum");
  if (!(check.context(context) && check.momentum_format(format, "format") &&
        check.type(gradient_type, "gradient_type") && check.array(gradient, gradient_type, "gradient") &&
        check.finite(gradient_scale, "gradient_scale") && check.state(format, momentum, scales, "momentum", "scales") &&
        check.type(update_type, "update_type") && check.array(update, update_type, "update") &&
        check.within(beta, 0.0, 1.0, "beta") && check.elements(begin, end) && check.blocks(block, begin, end) &&
        check.pointer(sum_squares, alignof(double), "sum_squares"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->muon_momentum(context, format, block, gradient, gradient_type, gradient_scale, momentum,
                                       scales, update, update_type, beta, nesterov, begin, end, sum_squares);
}

mu_status mu_muon_update(const mu_context* context, void* w, mu_type w_type, int64_t w_ld, float* master,
                         const void* o, mu_type o_type, int64_t o_ld, float decay, float rate,
                         const mu_rounding* rounding, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_muon_update");
  if (!(check.context(context) && check.type(w_type, "w_type") && check.array(w, w_type, "w") &&
        check.holds(master == nullptr || w_type == MU_BF16, "master is for bf16 weights; pass NULL with MU_F32") &&
        (master == nullptr || check.floats(master, "master")) && check.type(o_type, "o_type") &&
        check.array(o, o_type, "o") && check.finite(decay, "decay") && check.finite(rate, "rate") &&
        (rounding == nullptr || check.pointer(rounding, alignof(mu_rounding), "rounding")) &&
        check.not_negative(cols, "cols") && check.at_least(w_ld, cols, "w_ld", "cols") &&
        check.at_least(o_ld, cols, "o_ld", "cols") && check.rows(row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->muon_update(context, w, w_type, w_ld, master, o, o_type, o_ld, decay, rate, rounding, cols,
                                     row_begin, row_end);
}

mu_status mu_adamw(const mu_context* context, const mu_adamw_params* params, int64_t block, void* w, mu_type w_type,
                   float* master, const void* gradient, mu_type gradient_type, mu_format m_format, void* m,
                   float* m_scales, mu_format v_format, void* v, float* v_scales, const mu_rounding* rounding,
                   int64_t begin, int64_t end) {
  const Arguments check("mu_adamw");
  if (!(check.context(context) && check.pointer(params, alignof(mu_adamw_params), "params") &&
        check.adamw_params(*params) && check.type(w_type, "w_type") && check.array(w, w_type, "w") &&
        check.holds(master == nullptr || w_type == MU_BF16, "master is for bf16 weights; pass NULL with MU_F32") &&
        (master == nullptr || check.floats(master, "master")) && check.type(gradient_type, "gradient_type") &&
        check.array(gradient, gradient_type, "gradient") &&
        check.momentum_format(m_format, "m_format") && check.state(m_format, m, m_scales, "m", "m_scales") &&
        check.second_moment_format(v_format, "v_format") && check.state(v_format, v, v_scales, "v", "v_scales") &&
        (rounding == nullptr || check.pointer(rounding, alignof(mu_rounding), "rounding")) &&
        check.elements(begin, end) && check.blocks(block, begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->adamw(context, params, block, w, w_type, master, gradient, gradient_type, m_format, m,
                               m_scales, v_format, v, v_scales, rounding, begin, end);
}
