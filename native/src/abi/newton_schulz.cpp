/* newton_schulz.cpp - the entry points of Newton-Schulz on many matrices. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

mu_status mu_newton_schulz_begin(const mu_context* context, const mu_newton_schulz_start* start, void* x, mu_type
    type, int64_t elements, int64_t stride, int64_t count, const double* sums, int64_t sums_per_matrix, float*
    coefficients, const mu_step* step) {
  const Arguments check("mu_newton_schulz_begin");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->newton_schulz_begin(context, start, x, type, elements, stride, count, sums, sums_per_matrix,
      coefficients, step);
}

mu_status mu_symmetric_product(const mu_context* context, mu_type type, int32_t transposed, int64_t n, int64_t k,
    const void* a, int64_t lda, int64_t a_stride, const void* b, int64_t ldb, int64_t b_stride, const void* d, int64_t
    ldd, int64_t d_stride, void* c, int64_t ldc, int64_t c_stride, const float* coefficients, int64_t
    coefficient_stride, int64_t count) {
  const Arguments check("mu_symmetric_product");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->symmetric_product(context, type, transposed, n, k, a, lda, a_stride, b, ldb, b_stride, d, ldd,
      d_stride, c, ldc, c_stride, coefficients, coefficient_stride, count);
}

mu_status mu_scale_many(const mu_context* context, const float* alpha, int64_t alpha_stride, const void* x, int64_t
    x_stride, void* out, int64_t out_stride, mu_type type, int64_t elements, int64_t count) {
  const Arguments check("mu_scale_many");
  if (!check.context(context)) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->scale_many(context, alpha, alpha_stride, x, x_stride, out, out_stride, type, elements, count);
}
