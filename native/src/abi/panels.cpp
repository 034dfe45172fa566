/* panels.cpp - the entry points of products of matrices in panels. */
#include "abi/arguments.h"
#include "backend.h"

using muonium::Arguments;

namespace {

int64_t rounded_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

/* Of rows x depth, filled up; neither is negative. */
bool panels(const Arguments& check, const char* names, int64_t rows, int64_t depth) {
  constexpr int64_t kMost = int64_t{1} << 60;
  return check.extent(names, rows, depth) && check.holds(rows <= kMost && depth <= kMost, "a side is above 2^60") &&
         check.extent(names, rounded_up(rows, MU_PANEL_ROWS), rounded_up(depth, MU_PANEL_DEPTH));
}

/* [begin, end) of count, cut between panels. */
bool cut(const Arguments& check, int64_t begin, int64_t end, int64_t count, const char* begin_name, const char* end_name,
         const char* count_name) {
  return check.range(begin, end, begin_name, end_name) && check.at_least(count, end, count_name, end_name) &&
         check.holds(begin == end || (begin % MU_PANEL_ROWS == 0 && (end % MU_PANEL_ROWS == 0 || end == count)),
                     "a border of the range is neither a multiple of 48 (MU_PANEL_ROWS) nor the end of the matrix");
}

/* NULL, or an array of bf16. */
bool optional(const Arguments& check, const void* array, const char* name) {
  return array == nullptr || check.array(array, MU_BF16, name);
}

/* Panels are read and written by pairs. */
bool optional_pairs(const Arguments& check, const void* array, const char* name) {
  return array == nullptr || check.pointer(array, 4, name);
}

bool product_is_right(const Arguments& check, const mu_panel_product& of) {
  return check.not_negative(of.rows, "product->rows") && check.not_negative(of.cols, "product->cols") &&
         check.not_negative(of.depth, "product->depth") && check.pointer(of.a, 4, "product->a") &&
         check.pointer(of.b, 4, "product->b") && optional_pairs(check, of.d, "product->d") &&
         optional_pairs(check, of.c, "product->c") && optional_pairs(check, of.c_transposed, "product->c_transposed") &&
         optional(check, of.c_dense, "product->c_dense") && check.finite(of.c0, "product->c0") &&
         (of.d == nullptr || check.finite(of.c1, "product->c1")) && check.finite(of.c2, "product->c2") &&
         panels(check, "product->rows * product->depth", of.rows, of.depth) &&
         panels(check, "product->cols * product->depth", of.cols, of.depth) &&
         panels(check, "product->rows * product->cols", of.rows, of.cols) &&
         panels(check, "product->cols * product->rows", of.cols, of.rows) &&
         check.holds(of.symmetric == 0 || of.symmetric == 1, "product->symmetric is neither 0 nor 1") &&
         check.holds(of.symmetric == 0 || of.rows == of.cols,
                     "product->symmetric is 1 and product->rows is not product->cols; a symmetric matrix is square") &&
         check.holds(of.symmetric == 0 || of.c_dense == nullptr,
                     "product->c_dense is given with product->symmetric 1, which writes panels only") &&
         check.holds(of.d == nullptr || of.rows == of.cols,
                     "product->d is given and product->rows is not product->cols; a symmetric matrix is square") &&
         optional_pairs(check, of.w, "product->w") &&
         check.holds(of.w == nullptr || of.symmetric == 1,
                     "product->w is given with product->symmetric 0; a second result is of symmetric products only") &&
         check.holds(of.w == nullptr || (of.w != of.a && of.w != of.b && of.w != of.d && of.w != of.c),
                     "product->w is an operand or product->c; give w an array of its own") &&
         (of.w == nullptr || (check.finite(of.w0, "product->w0") && check.finite(of.w2, "product->w2") &&
                              (of.d == nullptr || check.finite(of.w1, "product->w1")))) &&
         (of.c_dense == nullptr || (check.at_least(of.c_ld, of.cols, "product->c_ld", "product->cols") &&
                                    check.extent("product->rows * product->c_ld", of.rows, of.c_ld))) &&
         check.holds(of.c == nullptr || (of.c != of.a && of.c != of.b && of.c != of.d),
                     "product->c is an operand, which is read while c is written; give c an array of its own") &&
         check.holds(of.c_transposed == nullptr ||
                         (of.c_transposed != of.a && of.c_transposed != of.b && of.c_transposed != of.d),
                     "product->c_transposed is an operand, which is read while it is written; give it an array of its own");
}

}  // namespace

int64_t mu_panel_elements(int64_t rows, int64_t depth) {
  const Arguments check("mu_panel_elements");
  if (!(check.not_negative(rows, "rows") && check.not_negative(depth, "depth") &&
        panels(check, "rows * depth", rows, depth))) {
    return -1;
  }
  return rounded_up(rows, MU_PANEL_ROWS) * rounded_up(depth, MU_PANEL_DEPTH);
}

mu_status mu_pack_panels(const mu_context* context, float factor, const void* x, int64_t x_ld, int64_t rows,
                         int64_t cols, void* panels_of_x, void* transposed, int64_t row_begin, int64_t row_end) {
  const Arguments check("mu_pack_panels");
  if (!(check.context(context) && check.finite(factor, "factor") && check.array(x, MU_BF16, "x") &&
        check.not_negative(rows, "rows") && check.not_negative(cols, "cols") && check.at_least(x_ld, cols, "x_ld", "cols") &&
        check.extent("rows * x_ld", rows, x_ld) && panels(check, "rows * cols", rows, cols) &&
        panels(check, "cols * rows", cols, rows) && optional_pairs(check, panels_of_x, "panels") &&
        optional_pairs(check, transposed, "transposed") &&
        cut(check, row_begin, row_end, rows, "row_begin", "row_end", "rows"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->pack_panels(context, factor, x, x_ld, rows, cols, panels_of_x, transposed, row_begin, row_end);
}

mu_status mu_multiply_panels(const mu_context* context, const mu_panel_product* product, int64_t row_begin,
                             int64_t row_end, int64_t col_begin, int64_t col_end) {
  const Arguments check("mu_multiply_panels");
  if (!(check.context(context) && check.pointer(product, alignof(mu_panel_product), "product") &&
        product_is_right(check, *product) &&
        cut(check, row_begin, row_end, product->rows, "row_begin", "row_end", "product->rows") &&
        cut(check, col_begin, col_end, product->cols, "col_begin", "col_end", "product->cols"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->multiply_panels(context, product, row_begin, row_end, col_begin, col_end);
}
