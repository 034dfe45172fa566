/* newton_schulz.cpp - the entry points of Newton-Schulz on many matrices. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

namespace {

bool start_is_right(const Arguments& check, const mu_newton_schulz_start* start) {
  return check.pointer(start, alignof(mu_newton_schulz_start), "start") && check.finite(start->a, "start->a") &&
         check.finite(start->b, "start->b") && check.finite(start->c, "start->c") &&
         check.positive(start->norm_factor, "start->norm_factor") && check.finite(start->epsilon, "start->epsilon") &&
         check.holds(start->epsilon >= 0.0, "start->epsilon is negative; it is added to a norm") &&
         check.holds(start->convention == MU_NORM_ADD_EPSILON || start->convention == MU_NORM_MAX_EPSILON,
                     "start->convention is not MU_NORM_ADD_EPSILON (0) or MU_NORM_MAX_EPSILON (1)");
}

/* What an array of matrices is called in messages. */
struct Names {
  const char* array;
  const char* ld;
  const char* stride;
  const char* rows_by_ld;
  const char* count_by_stride;
};

constexpr Names kA = {"a", "lda", "a_stride", "the rows of a * lda", "count * a_stride"};
constexpr Names kB = {"b", "ldb", "b_stride", "the rows of b * ldb", "count * b_stride"};
constexpr Names kC = {"c", "ldc", "c_stride", "n * ldc", "count * c_stride"};
constexpr Names kD = {"d", "ldd", "d_stride", "n * ldd", "count * d_stride"};

/* count matrices of rows x cols. */
bool matrices(const Arguments& check, const Names& names, const void* array, mu_type type, int64_t rows, int64_t cols,
              const char* cols_name, int64_t ld, int64_t stride, int64_t count) {
  return check.array(array, type, names.array) && check.at_least(ld, cols, names.ld, cols_name) &&
         check.not_negative(stride, names.stride) && check.extent(names.rows_by_ld, rows, ld) &&
         check.extent(names.count_by_stride, count, stride) &&
         check.offset("the extent of an array", rows * ld, count * stride);
}

}  // namespace

mu_status mu_newton_schulz_begin(const mu_context* context, const mu_newton_schulz_start* start, void* x, mu_type type,
                                 int64_t elements, int64_t stride, int64_t count, const double* sums,
                                 int64_t sums_per_matrix, float* coefficients, const mu_step* step) {
  const Arguments check("mu_newton_schulz_begin");
  if (!(check.context(context) && start_is_right(check, start) && check.type(type, "type") &&
        check.array(x, type, "x") && check.not_negative(elements, "elements") && check.not_negative(count, "count") &&
        (count < 2 || check.at_least(stride, elements, "stride", "elements")) &&
        check.extent("elements", elements, 1) && (count < 2 || check.extent("count * stride", count, stride)) &&
        check.pointer(sums, alignof(double), "sums") && check.not_negative(sums_per_matrix, "sums_per_matrix") &&
        check.extent("count * sums_per_matrix", count, sums_per_matrix) &&
        check.floats(coefficients, "coefficients") && check.extent("3 * count", 3, count) &&
        (step == nullptr || check.pointer(step, alignof(mu_step), "step")))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->newton_schulz_begin(context, start, x, type, elements, stride, count, sums, sums_per_matrix,
                                             coefficients, step);
}

mu_status mu_symmetric_product(const mu_context* context, mu_type type, int32_t transposed, int64_t n, int64_t k,
                               const void* a, int64_t lda, int64_t a_stride, const void* b, int64_t ldb,
                               int64_t b_stride, const void* d, int64_t ldd, int64_t d_stride, void* c, int64_t ldc,
                               int64_t c_stride, const float* coefficients, int64_t coefficient_stride,
                               int64_t count) {
  const Arguments check("mu_symmetric_product");
  if (!(check.context(context) && check.type(type, "type") && check.not_negative(n, "n") &&
        check.not_negative(k, "k") && check.not_negative(count, "count"))) {
    return MU_INVALID_ARGUMENT;
  }
  const int64_t rows = transposed != 0 ? k : n;
  const int64_t cols = transposed != 0 ? n : k;
  const char* cols_name = transposed != 0 ? "n" : "k";
  if (!(matrices(check, kA, a, type, rows, cols, cols_name, lda, a_stride, count) &&
        matrices(check, kB, b, type, rows, cols, cols_name, ldb, b_stride, count) &&
        (d == nullptr || matrices(check, kD, d, type, n, n, "n", ldd, d_stride, count)) &&
        check.holds(d == nullptr || d != c, "c is d, which is read while c is written; give c an array of its own") &&
        check.holds(a != c && b != c, "c is a or b, which are read while c is written; give c an array of its own") &&
        matrices(check, kC, c, type, n, n, "n", ldc, c_stride, count) &&
        (count < 2 || n == 0 || check.at_least(c_stride, (n - 1) * ldc + n, "c_stride", "(n - 1) * ldc + n =")) &&
        check.floats(coefficients, "coefficients") && check.not_negative(coefficient_stride, "coefficient_stride") &&
        check.extent("count * coefficient_stride", count, coefficient_stride))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->symmetric_product(context, type, transposed, n, k, a, lda, a_stride, b, ldb, b_stride, d, ldd,
                                           d_stride, c, ldc, c_stride, coefficients, coefficient_stride, count);
}
