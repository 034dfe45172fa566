/* passes.cpp - sums and element-wise passes. */
#include "cpu/choose.h"
#include "cpu/simd/simd.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Calls body(j) for each whole vector of a row and rest(j, count) for what is left of it. */
template <class Body, class Rest>
MU_MATH void for_row(int64_t cols, const Body& body, const Rest& rest) {
  int64_t j = 0;
  for (; j + kLanes <= cols; j += kLanes) {
    body(j);
  }
  if (j < cols) {
    rest(j, cols - j);
  }
}

}  // namespace

mu_status sum_squares(const mu_context*, const void* x, mu_type type, int64_t begin, int64_t end, double* sum) {
  return for_type(type, [&]<class T>(T) {
    const T* values = static_cast<const T*>(x);
    SquareSums sums;
    int64_t i = begin;
    for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
      add_squares(sums, load(values + i), load(values + i + kLanes));
    }
    if (i < end) {
      const int64_t left = end - i;
      const int64_t even = left < kLanes ? left : kLanes;
      const F32x16 odd = left > kLanes ? load_first(values + i + kLanes, left - kLanes) : F32x16(0.0f);
      add_squares(sums, load_first(values + i, even), odd);
    }
    *sum = total(sums);
    return MU_OK;
  });
}

mu_status scale(const mu_context*, float alpha, const void* x, mu_type x_type, int64_t x_ld, void* out,
                mu_type out_type, int64_t out_ld, int64_t cols, int64_t row_begin, int64_t row_end) {
  return for_type(x_type, [&]<class X>(X) {
    return for_type(out_type, [&]<class O>(O) {
      const F32x16 factor(alpha);
      for (int64_t i = row_begin; i < row_end; ++i) {
        const X* from = static_cast<const X*>(x) + i * x_ld;
        O* to = static_cast<O*>(out) + i * out_ld;
        for_row(
            cols, [&](int64_t j) { store(to + j, factor * load(from + j)); },
            [&](int64_t j, int64_t count) { store_first(to + j, factor * load_first(from + j, count), count); });
      }
      return MU_OK;
    });
  });
}

mu_status axpby(const mu_context*, float alpha, const void* x, mu_type x_type, int64_t x_ld, float beta, const void* y,
                mu_type y_type, int64_t y_ld, void* out, mu_type out_type, int64_t out_ld, int64_t cols,
                int64_t row_begin, int64_t row_end) {
  return for_type(x_type, [&]<class X>(X) {
    return for_type(y_type, [&]<class Y>(Y) {
      return for_type(out_type, [&]<class O>(O) {
        const F32x16 a(alpha);
        const F32x16 b(beta);
        for (int64_t i = row_begin; i < row_end; ++i) {
          const X* first = static_cast<const X*>(x) + i * x_ld;
          const Y* second = static_cast<const Y*>(y) + i * y_ld;
          O* to = static_cast<O*>(out) + i * out_ld;
          for_row(
              cols, [&](int64_t j) { store(to + j, a * load(first + j) + b * load(second + j)); },
              [&](int64_t j, int64_t count) {
                store_first(to + j, a * load_first(first + j, count) + b * load_first(second + j, count), count);
              });
        }
        return MU_OK;
      });
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
