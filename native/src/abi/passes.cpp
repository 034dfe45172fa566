/* passes.cpp - the entry points of sums and element-wise passes. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

mu_status mu_sum_squares(const mu_context* context, const void* x, mu_type type, int64_t begin, int64_t end,
                         double* sum) {
  const Arguments check("mu_sum_squares");
  if (!(check.context(context) && check.type(type, "type") && check.array(x, type, "x") &&
        check.elements(begin, end) && check.pointer(sum, alignof(double), "sum"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->sum_squares(context, x, type, begin, end, sum);
}

mu_status mu_scale(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld, void* out,
                   mu_type out_type, int64_t out_ld, int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_scale");
  if (!(check.context(context) && check.type(x_type, "x_type") && check.type(out_type, "out_type") &&
        check.array(x, x_type, "x") && check.array(out, out_type, "out") && check.not_negative(cols, "cols") &&
        check.at_least(x_ld, cols, "x_ld", "cols") && check.at_least(out_ld, cols, "out_ld", "cols") &&
        check.rows(row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->scale(context, alpha, x, x_type, x_ld, out, out_type, out_ld, cols, row_begin, row_end);
}

mu_status mu_axpby(const mu_context* context, float alpha, const void* x, mu_type x_type, int64_t x_ld, float beta,
                   const void* y, mu_type y_type, int64_t y_ld, void* out, mu_type out_type, int64_t out_ld,
                   int64_t cols, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_axpby");
  if (!(check.context(context) && check.type(x_type, "x_type") && check.type(out_type, "out_type") &&
        check.array(x, x_type, "x") && check.array(out, out_type, "out") && check.not_negative(cols, "cols") &&
        check.at_least(x_ld, cols, "x_ld", "cols") && check.at_least(out_ld, cols, "out_ld", "cols") &&
        check.rows(row_begin, row_end))) {
    return MU_INVALID_ARGUMENT;
  }
  if (beta == 0.0f) {
    return context->table->scale(context, alpha, x, x_type, x_ld, out, out_type, out_ld, cols, row_begin, row_end);
  }
  if (!(check.type(y_type, "y_type") && check.array(y, y_type, "y") && check.at_least(y_ld, cols, "y_ld", "cols"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->axpby(context, alpha, x, x_type, x_ld, beta, y, y_type, y_ld, out, out_type, out_ld, cols,
                               row_begin, row_end);
}

mu_status mu_mirror_upper(const mu_context* context, void* x, mu_type type, int64_t ld, int64_t row_begin,
                          int64_t row_end) {
  const Arguments check("mu_mirror_upper");
  if (!(check.context(context) && check.type(type, "type") && check.array(x, type, "x") &&
        check.rows(row_begin, row_end) && check.at_least(ld, row_end, "ld", "row_end"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->mirror_upper(context, x, type, ld, row_begin, row_end);
}
