/* passes.cpp - sums and element-wise passes, plainly. */
#include "cpu/choose.h"
#include "math/square_sums.h"

namespace muonium::cpu::MU_TIER {
namespace {

inline void assign(float* out, float x) {
  *out = x;
}

inline void assign(bf16* out, float x) {
  *out = round_to_bf16(x);
}

}  // namespace

mu_status sum_squares(const mu_context*, const void* x, mu_type type, int64_t begin, int64_t end, double* sum) {
  return for_type(type, [&]<class T>(T) {
    double lanes[kSumLanes] = {};
    for (int64_t i = begin; i < end; ++i) {
      const double value = static_cast<double>(to_float(static_cast<const T*>(x)[i]));
      lanes[(i - begin) % kSumLanes] += value * value;
    }
    *sum = fold_lanes(lanes);
    return MU_OK;
  });
}

mu_status scale(const mu_context*, float alpha, const void* x, mu_type x_type, int64_t x_ld, void* out,
                mu_type out_type, int64_t out_ld, int64_t cols, int64_t row_begin, int64_t row_end) {
  return for_type(x_type, [&]<class X>(X) {
    return for_type(out_type, [&]<class O>(O) {
      for (int64_t i = row_begin; i < row_end; ++i) {
        const X* from = static_cast<const X*>(x) + i * x_ld;
        O* to = static_cast<O*>(out) + i * out_ld;
        for (int64_t j = 0; j < cols; ++j) {
          assign(to + j, alpha * to_float(from[j]));
        }
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
        for (int64_t i = row_begin; i < row_end; ++i) {
          const X* first = static_cast<const X*>(x) + i * x_ld;
          const Y* second = static_cast<const Y*>(y) + i * y_ld;
          O* to = static_cast<O*>(out) + i * out_ld;
          for (int64_t j = 0; j < cols; ++j) {
            assign(to + j, alpha * to_float(first[j]) + beta * to_float(second[j]));
          }
        }
        return MU_OK;
      });
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
