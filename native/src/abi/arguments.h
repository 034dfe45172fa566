/*
 * arguments.h - the questions that the ABI asks of arguments before it calls a kernel. Each returns true, or records
 * one sentence that names the function, the argument, the value and what is allowed:
 *
 *   const Arguments check("mu_scale");
 *   if (!(check.context(context) && check.type(x_type, "x_type") && check.array(x, x_type, "x"))) {
 *     return MU_INVALID_ARGUMENT;
 *   }
 */
#ifndef MUONIUM_ABI_ARGUMENTS_H
#define MUONIUM_ABI_ARGUMENTS_H

#include <cstddef>

#include "muonium.h"

namespace muonium {

class Arguments final {
 public:
  explicit Arguments(const char* function) : function_(function) {}

  bool context(const mu_context* context) const;
  bool type(mu_type type, const char* name) const;
  /* Not F32. */
  bool block_format(mu_format format, const char* name) const;
  /* A format of Muon's momentum and AdamW's m, which have a sign. */
  bool momentum_format(mu_format format, const char* name) const;
  /* A format of AdamW's v. */
  bool second_moment_format(mu_format format, const char* name) const;
  bool adamw_params(const mu_adamw_params& params) const;
  /* Not null, and aligned for its elements. */
  bool pointer(const void* pointer, std::size_t alignment, const char* name) const;
  bool array(const void* pointer, mu_type type, const char* name) const;
  bool floats(const void* pointer, const char* name) const;
  /* Codes (or floats for MU_FORMAT_F32) and their scales. */
  bool state(mu_format format, const void* codes, const float* scales, const char* name,
             const char* scales_name) const;
  /* 0 <= begin <= end. */
  bool range(int64_t begin, int64_t end, const char* begin_name, const char* end_name) const;
  bool elements(int64_t begin, int64_t end) const { return range(begin, end, "begin", "end"); }
  bool rows(int64_t begin, int64_t end) const { return range(begin, end, "row_begin", "row_end"); }
  /* block is a power of two from 64 to 2048 and begin a multiple of it, unless the range is empty. */
  bool blocks(int64_t block, int64_t begin, int64_t end) const;
  bool not_negative(int64_t value, const char* name) const;
  bool at_least(int64_t value, int64_t least, const char* name, const char* least_name) const;
  /*
   * An array of a * b * c elements, or with this as its last index, has an address for each: not more than 2^60 of up to 8
   * bytes. For a, b and c that are not negative; names is the product as text.
   */
  bool extent(const char* names, int64_t a, int64_t b, int64_t c = 1) const;
  /* The same of a sum. */
  bool offset(const char* names, int64_t a, int64_t b) const;
  bool finite(double value, const char* name) const;
  bool within(double value, double low, double high, const char* name) const;
  bool positive(double value, const char* name) const;
  bool holds(bool condition, const char* sentence) const;

 private:
  const char* function_;
};

}  // namespace muonium

#endif
