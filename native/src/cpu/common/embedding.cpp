/* embedding.cpp - rows of a table by token, and their gradients added back. */
#include <cstring>

#include "cpu/common/arrays.h"

namespace muonium::cpu::MU_TIER {

mu_status gather_rows(const mu_context*, mu_type, const void* table, const int32_t* tokens, void* out, int64_t vocab,
                      int64_t cols, int64_t row_begin, int64_t row_end) {
  (void)vocab;
  for (int64_t row = row_begin; row < row_end; ++row) {
    std::memcpy(floats(out) + row * cols, floats(table) + tokens[row] * cols,
                static_cast<std::size_t>(cols) * sizeof(float));
  }
  return MU_OK;
}

mu_status scatter_add_rows(const mu_context*, mu_type, const void* rows, const int32_t* tokens, int64_t count,
                           void* table, mu_type, int64_t cols, int64_t vocab_begin, int64_t vocab_end) {
  /* Each task scans all tokens and takes its own: tokens are few beside rows, and every table row is added to in order. */
  for (int64_t row = 0; row < count; ++row) {
    const int64_t token = tokens[row];
    if (token >= vocab_begin && token < vocab_end) {
      const float* from = floats(rows) + row * cols;
      float* to = floats(table) + token * cols;
      for (int64_t i = 0; i < cols; ++i) {
        to[i] += from[i];
      }
    }
  }
  return MU_OK;
}

}  // namespace muonium::cpu::MU_TIER
