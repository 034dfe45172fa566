/* network.cpp - the entry points of the kernels of the neural network. */
#include "abi/arguments.h"
#include "abi/network.h"

using muonium::Arguments;

namespace {

/* Rows [row_begin, row_end) of a dense array of cols columns, cols not negative. */
bool rows_fit(const Arguments& check, int64_t cols, int64_t row_begin, int64_t row_end) {
  return check.rows(row_begin, row_end) && check.extent("row_end * cols", row_end, cols);
}

bool heads_fit(const Arguments& check, int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin,
               int64_t row_end) {
  return check.at_least(heads, 1, "heads", "the least") && check.at_least(head_dim, 1, "head_dim", "the least") &&
         check.at_least(positions, 1, "positions", "the least") && check.rows(row_begin, row_end) &&
         check.extent("row_end * heads * head_dim", row_end, heads, head_dim);
}

bool rotation_fits(const Arguments& check, int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin,
                   int64_t row_end) {
  return heads_fit(check, heads, head_dim, positions, row_begin, row_end) &&
         check.holds(head_dim % 2 == 0, "head_dim is odd, but a rotation takes pairs") &&
         check.extent("positions * head_dim", positions, head_dim);
}

bool scores_fit(const Arguments& check, int64_t ld, double scale, int64_t lse_begin, int64_t first, int64_t cols,
                int64_t row_begin, int64_t row_end) {
  return check.at_least(cols, 1, "cols", "the least") && check.at_least(ld, cols, "ld", "cols") &&
         check.positive(scale, "scale") && check.not_negative(lse_begin, "lse_begin") &&
         check.not_negative(first, "first") && check.rows(row_begin, row_end) &&
         check.extent("row_end * ld", row_end, ld) && check.offset("lse_begin + row_end", lse_begin, row_end);
}

/* Tokens index memory: each is looked at before any is used. Those of a device are out of reach: its kernels look. */
bool tokens_within(const mu_context* context, const char* function, const int32_t* tokens, int64_t begin, int64_t end,
                   int64_t vocab) {
  if (!muonium::on_host(context)) {
    return true;
  }
  for (int64_t i = begin; i < end; ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocab) {
      muonium::fail(MU_INVALID_ARGUMENT, "%s: token %lld is %d, not from 0 to %lld", function,
                    static_cast<long long>(i), tokens[i], static_cast<long long>(vocab - 1));
      return false;
    }
  }
  return true;
}

bool loss_fits(const Arguments& check, const mu_context* context, mu_type type, const void* logits, float cap,
               const int32_t* targets, const double* losses, int64_t target_begin, int64_t cols, int64_t row_begin,
               int64_t row_end) {
  return check.context(context) && check.type(type, "type") && check.array(logits, type, "logits") &&
         check.within(cap, 0.0, 1e30, "cap") &&
         check.pointer(targets, alignof(int32_t), "targets") && check.pointer(losses, alignof(double), "losses") &&
         check.not_negative(target_begin, "target_begin") && check.at_least(cols, 1, "cols", "the least") &&
         rows_fit(check, cols, row_begin, row_end) &&
         check.offset("target_begin + row_end", target_begin, row_end);
}

}  // namespace

mu_status mu_rms_norm(const mu_context* context, mu_type type, const void* x, void* y, float* rstd, float eps,
                      int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_rms_norm");
  if (!(check.context(context) && check.type(type, "type") && check.array(x, type, "x") &&
        check.array(y, type, "y") && check.floats(rstd, "rstd") && check.positive(eps, "eps") &&
        check.at_least(cols, 1, "cols", "the least") && rows_fit(check, cols, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_rms_norm")) {
    return MU_UNSUPPORTED;
  }
  return context->table->rms_norm(context, type, x, y, rstd, eps, cols, row_begin, row_end);
}

mu_status mu_rms_norm_backward(const mu_context* context, mu_type type, const void* dy, const void* x,
                               const float* rstd, const void* add, void* dx, int64_t cols, int64_t row_begin,
                               int64_t row_end) {
  const Arguments check("mu_rms_norm_backward");
  if (!(check.context(context) && check.type(type, "type") && check.array(dy, type, "dy") &&
        check.array(x, type, "x") && check.floats(rstd, "rstd") &&
        (add == nullptr || check.array(add, type, "add")) && check.array(dx, type, "dx") &&
        check.at_least(cols, 1, "cols", "the least") && rows_fit(check, cols, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_rms_norm_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->rms_norm_backward(context, type, dy, x, rstd, add, dx, cols, row_begin, row_end);
}

mu_status mu_rotary_norm(const mu_context* context, mu_type type, void* x, float* rstd, const float* table, float eps,
                         int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_rotary_norm");
  if (!(check.context(context) && check.type(type, "type") && check.array(x, type, "x") &&
        check.floats(rstd, "rstd") && check.floats(table, "table") && check.positive(eps, "eps") &&
        rotation_fits(check, heads, head_dim, positions, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_rotary_norm")) {
    return MU_UNSUPPORTED;
  }
  return context->table->rotary_norm(context, type, x, rstd, table, eps, heads, head_dim, positions, row_begin,
                                     row_end);
}

mu_status mu_rotary_norm_backward(const mu_context* context, mu_type type, const void* y, const float* rstd,
                                  const float* table, void* dy, int64_t heads, int64_t head_dim, int64_t positions,
                                  int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_rotary_norm_backward");
  if (!(check.context(context) && check.type(type, "type") && check.array(y, type, "y") &&
        check.floats(rstd, "rstd") && check.floats(table, "table") && check.array(dy, type, "dy") &&
        rotation_fits(check, heads, head_dim, positions, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_rotary_norm_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->rotary_norm_backward(context, type, y, rstd, table, dy, heads, head_dim, positions,
                                              row_begin, row_end);
}

mu_status mu_softmax_causal(const mu_context* context, float* scores, int64_t ld, float scale, float* lse,
                            int64_t lse_begin, int64_t first, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_softmax_causal");
  if (!(check.context(context) && check.floats(scores, "scores") && check.floats(lse, "lse") &&
        scores_fit(check, ld, scale, lse_begin, first, cols, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->softmax_causal(context, scores, ld, scale, lse, lse_begin, first, cols, row_begin, row_end);
}

mu_status mu_softmax_causal_backward(const mu_context* context, float* scores, float* d, int64_t ld, float scale,
                                     const float* lse, const float* delta, int64_t lse_begin, int64_t first,
                                     int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_softmax_causal_backward");
  if (!(check.context(context) && check.floats(scores, "scores") && check.floats(d, "d") &&
        check.floats(lse, "lse") && check.floats(delta, "delta") &&
        scores_fit(check, ld, scale, lse_begin, first, cols, row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->softmax_causal_backward(context, scores, d, ld, scale, lse, delta, lse_begin, first, cols,
                                                 row_begin, row_end);
}

mu_status mu_head_dots(const mu_context* context, mu_type type, const void* x, const void* y, float* out,
                       int64_t heads, int64_t head_dim, int64_t positions, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_head_dots");
  if (!(check.context(context) && check.type(type, "type") && check.array(x, type, "x") &&
        check.array(y, type, "y") && check.floats(out, "out") &&
        heads_fit(check, heads, head_dim, positions, row_begin, row_end) &&
        check.extent("(row_end / positions + 1) * heads * positions", row_end / positions + 1, heads, positions))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_head_dots")) {
    return MU_UNSUPPORTED;
  }
  return context->table->head_dots(context, type, x, y, out, heads, head_dim, positions, row_begin, row_end);
}

mu_status mu_relu2(const mu_context* context, mu_type type, const void* u, void* a, int64_t begin, int64_t end) {
  const Arguments check("mu_relu2");
  if (!(check.context(context) && check.type(type, "type") && check.array(u, type, "u") &&
        check.array(a, type, "a") && check.elements(begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_relu2")) {
    return MU_UNSUPPORTED;
  }
  return context->table->relu2(context, type, u, a, begin, end);
}

mu_status mu_relu2_backward(const mu_context* context, mu_type type, void* u, void* a, int64_t begin, int64_t end) {
  const Arguments check("mu_relu2_backward");
  if (!(check.context(context) && check.type(type, "type") && check.array(u, type, "u") &&
        check.array(a, type, "a") && check.elements(begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_relu2_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->relu2_backward(context, type, u, a, begin, end);
}

mu_status mu_swiglu(const mu_context* context, mu_type type, const void* gate, const void* up, void* a, int64_t begin,
                    int64_t end) {
  const Arguments check("mu_swiglu");
  if (!(check.context(context) && check.type(type, "type") && check.array(gate, type, "gate") &&
        check.array(up, type, "up") && check.array(a, type, "a") && check.elements(begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_swiglu")) {
    return MU_UNSUPPORTED;
  }
  return context->table->swiglu(context, type, gate, up, a, begin, end);
}

mu_status mu_swiglu_backward(const mu_context* context, mu_type type, void* gate, void* up, void* a, int64_t begin,
                             int64_t end) {
  const Arguments check("mu_swiglu_backward");
  if (!(check.context(context) && check.type(type, "type") && check.array(gate, type, "gate") &&
        check.array(up, type, "up") && check.array(a, type, "a") && check.elements(begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_swiglu_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->swiglu_backward(context, type, gate, up, a, begin, end);
}

mu_status mu_cross_entropy(const mu_context* context, mu_type type, void* logits, float cap, const int32_t* targets,
                           double* losses, int64_t target_begin, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_cross_entropy");
  if (!(loss_fits(check, context, type, logits, cap, targets, losses, target_begin, cols, row_begin, row_end) &&
        tokens_within(context, "mu_cross_entropy", targets, target_begin + row_begin, target_begin + row_end, cols))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_cross_entropy")) {
    return MU_UNSUPPORTED;
  }
  return context->table->cross_entropy(context, type, logits, cap, targets, losses, target_begin, cols, row_begin,
                                       row_end);
}

mu_status mu_cross_entropy_backward(const mu_context* context, mu_type type, void* logits, float cap,
                                    const int32_t* targets, double* losses, int64_t target_begin,
                                    float gradient_scale, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_cross_entropy_backward");
  if (!(loss_fits(check, context, type, logits, cap, targets, losses, target_begin, cols, row_begin, row_end) &&
        check.finite(gradient_scale, "gradient_scale") &&
        tokens_within(context, "mu_cross_entropy_backward", targets, target_begin + row_begin, target_begin + row_end,
                      cols))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_cross_entropy_backward")) {
    return MU_UNSUPPORTED;
  }
  return context->table->cross_entropy_backward(context, type, logits, cap, targets, losses, target_begin,
                                                gradient_scale, cols, row_begin, row_end);
}

mu_status mu_gather_rows(const mu_context* context, mu_type type, const void* table, const int32_t* tokens, void* out,
                         int64_t vocab, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_gather_rows");
  if (!(check.context(context) && check.type(type, "type") && check.array(table, type, "table") &&
        check.pointer(tokens, alignof(int32_t), "tokens") && check.array(out, type, "out") &&
        check.not_negative(vocab, "vocab") && check.not_negative(cols, "cols") &&
        rows_fit(check, cols, row_begin, row_end) && check.extent("vocab * cols", vocab, cols) &&
        tokens_within(context, "mu_gather_rows", tokens, row_begin, row_end, vocab))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!muonium::computes(context, type, "mu_gather_rows")) {
    return MU_UNSUPPORTED;
  }
  return context->table->gather_rows(context, type, table, tokens, out, vocab, cols, row_begin, row_end);
}

mu_status mu_scatter_add_rows(const mu_context* context, mu_type type, const void* rows, const int32_t* tokens,
                              int64_t count, void* table, mu_type table_type, int64_t cols, int64_t vocab_begin,
                              int64_t vocab_end) {
  const Arguments check("mu_scatter_add_rows");
  if (!(check.context(context) && check.type(type, "type") && check.array(rows, type, "rows") &&
        check.pointer(tokens, alignof(int32_t), "tokens") && check.not_negative(count, "count") &&
        check.type(table_type, "table_type") && check.array(table, table_type, "table") &&
        check.not_negative(cols, "cols") &&
        check.range(vocab_begin, vocab_end, "vocab_begin", "vocab_end") &&
        check.extent("count * cols", count, cols) && check.extent("vocab_end * cols", vocab_end, cols))) {
    return MU_INVALID_ARGUMENT;
  }
  if (!(muonium::computes(context, type, "mu_scatter_add_rows") &&
        muonium::computes(context, table_type, "mu_scatter_add_rows"))) {
    return MU_UNSUPPORTED;
  }
  return context->table->scatter_add_rows(context, type, rows, tokens, count, table, table_type, cols,
                                          vocab_begin, vocab_end);
}
