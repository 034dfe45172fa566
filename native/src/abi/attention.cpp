/* attention.cpp - the entry points of attention. */
#include "abi/arguments.h"
#include "abi/network.h"

using muonium::Arguments;

namespace {

bool shape_fits(const Arguments& check, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim,
                int64_t positions, int64_t sequence_begin, int64_t sequence_end) {
  return check.positive(scale, "scale") && check.at_least(heads, 1, "heads", "the least") &&
         check.at_least(kv_heads, 1, "kv_heads", "the least") &&
         check.holds(heads % kv_heads == 0, "heads is not a multiple of kv_heads, so they cannot share key heads evenly") &&
         check.holds(head_dim >= 8 && head_dim <= 128 && head_dim % 8 == 0,
                     "head_dim is not a multiple of 8 from 8 to 128") &&
         check.at_least(positions, 1, "positions", "the least") &&
         check.range(sequence_begin, sequence_end, "sequence_begin", "sequence_end") &&
         check.extent("sequence_end * positions", sequence_end, positions) &&
         check.extent("sequence_end * positions * heads * head_dim", sequence_end * positions, heads, head_dim);
}

}  // namespace

mu_status mu_attention(const mu_context* context, mu_type type, const void* q, const void* k, const void* v, void* o,
                       float* lse, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                       int64_t sequence_begin, int64_t sequence_end) {
  const Arguments check("mu_attention");
  if (!(check.context(context) && check.type(type, "type") && check.array(q, type, "q") && check.array(k, type, "k") &&
        check.array(v, type, "v") && check.array(o, type, "o") && check.floats(lse, "lse") &&
        shape_fits(check, scale, heads, kv_heads, head_dim, positions, sequence_begin, sequence_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_attention")) {
    return MU_UNSUPPORTED;
  }
  return context->table->attention(context, type, q, k, v, o, lse, scale, heads, kv_heads, head_dim, positions,
                                   sequence_begin, sequence_end);
}

mu_status mu_attention_backward(const mu_context* context, mu_type type, const void* q, const void* k, const void* v,
                                const float* lse, const void* d_o, const float* delta, void* dq, void* dk, void* dv,
                                float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions,
                                int64_t sequence_begin, int64_t sequence_end) {
  const Arguments check("mu_attention_backward");
  if (!(check.context(context) && check.type(type, "type") && check.array(q, type, "q") && check.array(k, type, "k") &&
        check.array(v, type, "v") && check.floats(lse, "lse") && check.array(d_o, type, "d_o") &&
        check.floats(delta, "delta") && check.array(dq, type, "dq") && check.array(dk, type, "dk") &&
        check.array(dv, type, "dv") &&
        shape_fits(check, scale, heads, kv_heads, head_dim, positions, sequence_begin, sequence_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_attention_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->attention_backward(context, type, q, k, v, lse, d_o, delta, dq, dk, dv, scale, heads,
                                            kv_heads, head_dim, positions, sequence_begin, sequence_end);
}
