/* many.cpp - the entry points of what an optimizer does to all its arrays at once. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

mu_status mu_gradient_sweep(const mu_context* context, const mu_gradient* gradients, int64_t count, int64_t chunks,
    double* partial, mu_step* step) {
  const Arguments check("mu_gradient_sweep");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->gradient_sweep(context, gradients, count, chunks, partial, step);
}

mu_status mu_muon_momentum_many(const mu_context* context, mu_format format, int64_t block, mu_type gradient_type,
    mu_type update_type, int32_t nesterov, const mu_muon_item* items, int64_t count, int64_t chunks, const mu_step*
    step, double* sums) {
  const Arguments check("mu_muon_momentum_many");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->muon_momentum_many(context, format, block, gradient_type, update_type, nesterov, items, count, chunks,
      step, sums);
}

mu_status mu_muon_update_many(const mu_context* context, mu_type w_type, mu_type o_type, const mu_muon_item* items,
    int64_t count, int64_t chunks, const mu_step* step) {
  const Arguments check("mu_muon_update_many");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->muon_update_many(context, w_type, o_type, items, count, chunks, step);
}

mu_status mu_adamw_many(const mu_context* context, int64_t block, mu_type w_type, mu_type gradient_type, mu_format
    m_format, mu_format v_format, const mu_adamw_item* items, int64_t count, int64_t chunks, const mu_step* step) {
  const Arguments check("mu_adamw_many");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->adamw_many(context, block, w_type, gradient_type, m_format, v_format, items, count, chunks, step);
}
