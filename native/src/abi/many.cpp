/*
 * many.cpp - the entry points of what an optimizer does to all its arrays at once. On the CPU every record is checked; the
 * records of a device lie in its memory, where only their addresses can be looked at.
 */
#include "abi/arguments.h"
#include "backend.h"
#include "failure.h"

using muonium::Arguments;
using muonium::fail;

namespace {

bool on_host(const mu_context* context) {
  return context->table->open == nullptr;
}

/* Says which record of an array of them is refused, and why. */
class Records final {
 public:
  Records(const char* function, const char* name) : function_(function), name_(name) {}

  bool refuse(int64_t index, const char* sentence) const {
    fail(MU_INVALID_ARGUMENT, "%s: %s[%lld]: %s", function_, name_, static_cast<long long>(index), sentence);
    return false;
  }

  bool holds(bool condition, int64_t index, const char* sentence) const {
    return condition || refuse(index, sentence);
  }

  /* An empty array needs no address. */
  bool array(const void* pointer, mu_type type, int64_t elements, int64_t index, const char* sentence) const {
    const uintptr_t alignment = type == MU_BF16 ? 2 : 4;
    return holds(elements == 0 || (pointer != nullptr && reinterpret_cast<uintptr_t>(pointer) % alignment == 0), index,
                 sentence);
  }

  bool state(mu_format format, const void* codes, const float* scales, int64_t elements, int64_t index,
             const char* sentence) const {
    if (format == MU_FORMAT_F32) {
      return array(codes, MU_F32, elements, index, sentence);
    }
    return holds(elements == 0 || codes != nullptr, index, sentence) &&
           array(scales, MU_F32, elements, index, sentence);
  }

  /* elements and first_chunk of each record, and that all of them together have `chunks` chunks. */
  template <class Record>
  bool numbered(const Record* records, int64_t count, int64_t chunks) const {
    int64_t next = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t elements = records[i].elements;
      if (!holds(elements >= 0 && elements <= (int64_t{1} << 60), i, "elements is not from 0 to 2^60") ||
          !holds(records[i].first_chunk == next, i,
                 "first_chunk is not the number of chunks of the records before it, each ceil(elements / MU_CHUNK)")) {
        return false;
      }
      next += (elements + MU_CHUNK - 1) / MU_CHUNK;
    }
    if (next != chunks) {
      fail(MU_INVALID_ARGUMENT, "%s: chunks is %lld, but the records have %lld together", function_,
           static_cast<long long>(chunks), static_cast<long long>(next));
      return false;
    }
    return true;
  }

 private:
  const char* function_;
  const char* name_;
};

template <class Record>
bool check_counts(const Arguments& check, const Record* records, const char* name, int64_t count, int64_t chunks) {
  return check.pointer(records, alignof(Record), name) && check.not_negative(count, "count") &&
         check.not_negative(chunks, "chunks");
}

bool check_step(const Arguments& check, const mu_step* step) {
  return check.pointer(step, alignof(mu_step), "step");
}

bool is_flag(int32_t value) {
  return value == 0 || value == 1;
}

}  // namespace

mu_status mu_gradient_sweep(const mu_context* context, const mu_gradient* gradients, int64_t count, int64_t chunks,
                            double* partial, mu_step* step) {
  const Arguments check("mu_gradient_sweep");
  if (!(check.context(context) && check_counts(check, gradients, "gradients", count, chunks) &&
        check.pointer(partial, alignof(double), "partial") && check_step(check, step))) {
    return MU_INVALID_ARGUMENT;
  }
  if (on_host(context)) {
    const Records records("mu_gradient_sweep", "gradients");
    if (!(check.positive(step->gradient_scale, "step->gradient_scale") &&
          check.holds(step->clip_norm > 0.0, "step->clip_norm is not positive; infinity does not clip") &&
          check.finite(step->clip_epsilon, "step->clip_epsilon") &&
          check.holds(step->clip_epsilon >= 0.0, "step->clip_epsilon is negative") &&
          records.numbered(gradients, count, chunks))) {
      return MU_INVALID_ARGUMENT;
    }
    for (int64_t i = 0; i < count; ++i) {
      const mu_gradient& one = gradients[i];
      if (!(records.holds(one.type == MU_F32 || one.type == MU_BF16, i, "type is not MU_F32 (0) or MU_BF16 (1)") &&
            records.array(one.gradient, static_cast<mu_type>(one.type), one.elements, i,
                          "gradient is NULL or not aligned to its elements") &&
            records.holds(one.limit >= 0.0, i, "limit is not 0 or more"))) {
        return MU_INVALID_ARGUMENT;
      }
    }
  }
  return context->table->gradient_sweep(context, gradients, count, chunks, partial, step);
}

mu_status mu_muon_momentum_many(const mu_context* context, mu_format format, int64_t block, mu_type gradient_type,
                                mu_type update_type, int32_t nesterov, const mu_muon_item* items, int64_t count,
                                int64_t chunks, const mu_step* step, double* sums) {
  const Arguments check("mu_muon_momentum_many");
  if (!(check.context(context) && check.momentum_format(format, "format") && check.blocks(block, 0, 0) &&
        check.type(gradient_type, "gradient_type") && check.type(update_type, "update_type") &&
        check_counts(check, items, "items", count, chunks) && check_step(check, step) &&
        check.pointer(sums, alignof(double), "sums"))) {
    return MU_INVALID_ARGUMENT;
  }
  if (on_host(context)) {
    const Records records("mu_muon_momentum_many", "items");
    if (!records.numbered(items, count, chunks)) {
      return MU_INVALID_ARGUMENT;
    }
    for (int64_t i = 0; i < count; ++i) {
      const mu_muon_item& one = items[i];
      if (!(records.array(one.gradient, gradient_type, one.elements, i,
                          "gradient is NULL or not aligned to its elements") &&
            records.state(format, one.momentum, one.scales, one.elements, i,
                          "momentum or its scales are NULL or not aligned to their elements") &&
            records.array(one.update, update_type, one.elements, i, "update is NULL or not aligned to its elements") &&
            records.holds(one.beta >= 0.0 && one.beta <= 1.0, i, "beta is not from 0 to 1"))) {
        return MU_INVALID_ARGUMENT;
      }
    }
  }
  return context->table->muon_momentum_many(context, format, block, gradient_type, update_type, nesterov, items, count,
                                            chunks, step, sums);
}

mu_status mu_muon_update_many(const mu_context* context, mu_type w_type, mu_type o_type, const mu_muon_item* items,
                              int64_t count, int64_t chunks, const mu_step* step) {
  const Arguments check("mu_muon_update_many");
  if (!(check.context(context) && check.type(w_type, "w_type") && check.type(o_type, "o_type") &&
        check_counts(check, items, "items", count, chunks) && check_step(check, step))) {
    return MU_INVALID_ARGUMENT;
  }
  if (on_host(context)) {
    const Records records("mu_muon_update_many", "items");
    if (!records.numbered(items, count, chunks)) {
      return MU_INVALID_ARGUMENT;
    }
    for (int64_t i = 0; i < count; ++i) {
      const mu_muon_item& one = items[i];
      if (!(records.array(one.weights, w_type, one.elements, i, "weights is NULL or not aligned to its elements") &&
            records.holds(one.master == nullptr || w_type == MU_BF16, i,
                          "master is for bf16 weights; pass NULL with MU_F32") &&
            records.array(one.master, MU_F32, one.master == nullptr ? 0 : one.elements, i,
                          "master is not aligned to its elements") &&
            records.array(one.direction, o_type, one.elements, i, "direction is NULL or not aligned to its elements") &&
            records.holds(one.decay - one.decay == 0.0f, i, "decay is not finite") &&
            records.holds(one.rate - one.rate == 0.0f, i, "rate is not finite") &&
            records.holds(is_flag(one.stochastic), i, "stochastic is not 0 or 1"))) {
        return MU_INVALID_ARGUMENT;
      }
    }
  }
  return context->table->muon_update_many(context, w_type, o_type, items, count, chunks, step);
}

mu_status mu_adamw_many(const mu_context* context, int64_t block, mu_type w_type, mu_type gradient_type,
                        mu_format m_format, mu_format v_format, const mu_adamw_item* items, int64_t count,
                        int64_t chunks, const mu_step* step) {
  const Arguments check("mu_adamw_many");
  if (!(check.context(context) && check.blocks(block, 0, 0) && check.type(w_type, "w_type") &&
        check.type(gradient_type, "gradient_type") && check.momentum_format(m_format, "m_format") &&
        check.second_moment_format(v_format, "v_format") && check_counts(check, items, "items", count, chunks) &&
        check_step(check, step))) {
    return MU_INVALID_ARGUMENT;
  }
  if (on_host(context)) {
    const Records records("mu_adamw_many", "items");
    if (!records.numbered(items, count, chunks)) {
      return MU_INVALID_ARGUMENT;
    }
    for (int64_t i = 0; i < count; ++i) {
      const mu_adamw_item& one = items[i];
      mu_adamw_params params = one.params;
      params.gradient_scale = 1.0; /* The item's is ignored. */
      if (!(records.array(one.weights, w_type, one.elements, i, "weights is NULL or not aligned to its elements") &&
            records.holds(one.master == nullptr || w_type == MU_BF16, i,
                          "master is for bf16 weights; pass NULL with MU_F32") &&
            records.array(one.master, MU_F32, one.master == nullptr ? 0 : one.elements, i,
                          "master is not aligned to its elements") &&
            records.array(one.gradient, gradient_type, one.elements, i,
                          "gradient is NULL or not aligned to its elements") &&
            records.state(m_format, one.m, one.m_scales, one.elements, i,
                          "m or its scales are NULL or not aligned to their elements") &&
            records.state(v_format, one.v, one.v_scales, one.elements, i,
                          "v or its scales are NULL or not aligned to their elements") &&
            check.adamw_params(params) && records.holds(is_flag(one.stochastic), i, "stochastic is not 0 or 1"))) {
        return MU_INVALID_ARGUMENT;
      }
    }
  }
  return context->table->adamw_many(context, block, w_type, gradient_type, m_format, v_format, items, count, chunks,
                                    step);
}

mu_status mu_scale_many(const mu_context* context, const float* alpha, int64_t alpha_stride, const void* x,
                        int64_t x_stride, void* out, int64_t out_stride, mu_type type, int64_t elements,
                        int64_t count) {
  const Arguments check("mu_scale_many");
  if (!(check.context(context) && check.floats(alpha, "alpha") && check.not_negative(alpha_stride, "alpha_stride") &&
        check.type(type, "type") && check.array(x, type, "x") && check.array(out, type, "out") &&
        check.not_negative(elements, "elements") && check.not_negative(count, "count") &&
        check.at_least(x_stride, elements, "x_stride", "elements") &&
        check.at_least(out_stride, elements, "out_stride", "elements") &&
        check.extent("alpha_stride * count", alpha_stride, count) && check.extent("x_stride * count", x_stride, count) &&
        check.extent("out_stride * count", out_stride, count))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->scale_many(context, alpha, alpha_stride, x, x_stride, out, out_stride, type, elements, count);
}
