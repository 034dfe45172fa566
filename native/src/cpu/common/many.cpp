/*
 * many.cpp - a step of an optimizer over all its arrays, as loops over the records that call the tier's own kernels. The
 * oracle of the launches that do the same on a GPU.
 */
#include "cpu/tier.h"
#include "math/step.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Calls body(chunk, begin, end) for the chunks of a record; stops at the first failure. */
template <class Record, class Body>
mu_status for_chunks(const Record& record, const Body& body) {
  int64_t chunk = record.first_chunk;
  for (int64_t begin = 0; begin < record.elements; begin += MU_CHUNK, ++chunk) {
    const int64_t left = record.elements - begin;
    const mu_status status = body(chunk, begin, begin + (left < MU_CHUNK ? left : MU_CHUNK));
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

template <class Item>
mu_rounding rounding_of(const mu_step& step, const Item& item) {
  return mu_rounding{step.seed, item.rounding_step, item.rounding_parameter};
}

}  // namespace

mu_status gradient_sweep(const mu_context* context, const mu_gradient* gradients, int64_t count, int64_t,
                         double* partial, mu_step* step) {
  StepSweep sweep;
  for (int64_t i = 0; i < count; ++i) {
    const mu_gradient& gradient = gradients[i];
    double sum = 0.0;
    const mu_status status = for_chunks(gradient, [&](int64_t chunk, int64_t begin, int64_t end) {
      const mu_status summed = sum_squares(context, gradient.gradient, static_cast<mu_type>(gradient.type), begin, end,
                                           partial + chunk);
      sum += partial[chunk];
      return summed;
    });
    if (status != MU_OK) {
      return status;
    }
    include(sweep, *step, i, sum, gradient.limit);
  }
  decide(sweep, *step);
  return MU_OK;
}

mu_status muon_momentum_many(const mu_context* context, mu_format format, int64_t block, mu_type gradient_type,
                             mu_type update_type, int32_t nesterov, const mu_muon_item* items, int64_t count, int64_t,
                             const mu_step* step, double* sums) {
  if (is_left_out(*step)) {
    return MU_OK;
  }
  for (int64_t i = 0; i < count; ++i) {
    const mu_muon_item& item = items[i];
    const mu_status status = for_chunks(item, [&](int64_t chunk, int64_t begin, int64_t end) {
      return muon_momentum(context, format, block, item.gradient, gradient_type, static_cast<float>(step->scale),
                           item.momentum, item.scales, item.update, update_type, item.beta, nesterov, begin, end,
                           sums + chunk);
    });
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

/* An array is one row: neither its result nor the index of an element depends on how it is cut into rows. */
mu_status muon_update_many(const mu_context* context, mu_type w_type, mu_type o_type, const mu_muon_item* items,
                           int64_t count, int64_t, const mu_step* step) {
  if (is_left_out(*step)) {
    return MU_OK;
  }
  for (int64_t i = 0; i < count; ++i) {
    const mu_muon_item& item = items[i];
    const mu_rounding rounding = rounding_of(*step, item);
    const mu_status status =
        muon_update(context, item.weights, w_type, item.elements, item.master, item.direction, o_type, item.elements,
                    item.decay, item.rate, item.stochastic != 0 ? &rounding : nullptr, item.elements, 0, 1);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

mu_status adamw_many(const mu_context* context, int64_t block, mu_type w_type, mu_type gradient_type,
                     mu_format m_format, mu_format v_format, const mu_adamw_item* items, int64_t count, int64_t,
                     const mu_step* step) {
  if (is_left_out(*step)) {
    return MU_OK;
  }
  for (int64_t i = 0; i < count; ++i) {
    const mu_adamw_item& item = items[i];
    const mu_rounding rounding = rounding_of(*step, item);
    mu_adamw_params params = item.params;
    params.gradient_scale = step->scale;
    const mu_status status =
        adamw(context, &params, block, item.weights, w_type, item.master, item.gradient, gradient_type, m_format,
              item.m, item.m_scales, v_format, item.v, item.v_scales, item.stochastic != 0 ? &rounding : nullptr, 0,
              item.elements);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

mu_status scale_many(const mu_context* context, const float* alpha, int64_t alpha_stride, const void* x,
                     int64_t x_stride, void* out, int64_t out_stride, mu_type type, int64_t elements, int64_t count) {
  const int64_t bytes = type == MU_BF16 ? 2 : 4;
  for (int64_t k = 0; k < count; ++k) {
    const mu_status status = scale(context, alpha[k * alpha_stride], static_cast<const char*>(x) + k * x_stride * bytes,
                                   type, elements, static_cast<char*>(out) + k * out_stride * bytes, type, elements,
                                   elements, 0, 1);
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
