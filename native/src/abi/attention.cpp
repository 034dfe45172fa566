/* attention.cpp - the entry points of attention. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

mu_status mu_attention(const mu_context* context, mu_type type, const void* q, const void* k, const void* v, void* o,
    float* lse, float scale, int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t positions, int64_t
    sequence_begin, int64_t sequence_end) {
  const Arguments check("mu_attention");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->attention(context, type, q, k, v, o, lse, scale, heads, kv_heads, head_dim, positions, sequence_begin,
      sequence_end);
}

mu_status mu_attention_backward(const mu_context* context, mu_type type, const void* q, const void* k, const void* v,
    const float* lse, const void* d_o, const float* delta, void* dq, void* dk, void* dv, float scale, int64_t heads,
    int64_t kv_heads, int64_t head_dim, int64_t positions, int64_t sequence_begin, int64_t sequence_end) {
  const Arguments check("mu_attention_backward");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->attention_backward(context, type, q, k, v, lse, d_o, delta, dq, dk, dv, scale, heads, kv_heads,
      head_dim, positions, sequence_begin, sequence_end);
}
