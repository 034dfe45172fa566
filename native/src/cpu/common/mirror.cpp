/* mirror.cpp - the lower triangle from the upper. Moves bits only, so one text serves all tiers. */
#include "cpu/choose.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Square tiles that fit the first-level cache twice: column-wise reads would otherwise miss on every element. */
constexpr int64_t kTile = 32;

template <class T>
void mirror_tile(T* x, int64_t ld, int64_t row_begin, int64_t row_end, int64_t col_begin, int64_t col_end) {
  for (int64_t i = row_begin; i < row_end; ++i) {
    const int64_t end = col_end < i ? col_end : i;
    for (int64_t j = col_begin; j < end; ++j) {
      x[i * ld + j] = x[j * ld + i];
    }
  }
}

}  // namespace

mu_status mirror_upper(const mu_context*, void* x, mu_type type, int64_t ld, int64_t row_begin, int64_t row_end) {
  return for_type(type, [&]<class T>(T) {
    for (int64_t i = row_begin; i < row_end; i += kTile) {
      const int64_t rows = i + kTile < row_end ? i + kTile : row_end;
      for (int64_t j = 0; j < rows - 1; j += kTile) {
        mirror_tile(static_cast<T*>(x), ld, i, rows, j, j + kTile);
      }
    }
    return MU_OK;
  });
}

}  // namespace muonium::cpu::MU_TIER
