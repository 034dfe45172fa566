/* formats.cpp - quantize and dequantize, plainly. */
#include "cpu/choose.h"
#include "cpu/common/fp8.h"
#include "cpu/scalar/state.h"

namespace muonium::cpu::MU_TIER {

mu_status quantize(const mu_context*, mu_format format, int64_t block, const void* x, mu_type x_type, void* codes,
                   float* scales, int64_t begin, int64_t end) {
  if (is_fp8(format)) {
    return quantize_fp8(format, block, x, x_type, codes, scales, begin, end);
  }
  return for_state(format, codes, scales, [&](const auto& state) {
    return for_type(x_type, [&]<class T>(T) {
      const T* source = static_cast<const T*>(x);
      float values[kMaxBlock];
      for (int64_t i = begin; i < end; i += block) {
        const int64_t count = end - i < block ? end - i : block;
        for (int64_t j = 0; j < count; ++j) {
          values[j] = to_float(source[i + j]);
        }
        state.write(i / block, i, count, values);
      }
      return MU_OK;
    });
  });
}

mu_status dequantize(const mu_context*, mu_format format, int64_t block, const void* codes, const float* scales,
                     void* out, mu_type out_type, int64_t begin, int64_t end) {
  if (is_fp8(format)) {
    return dequantize_fp8(format, block, codes, scales, out, out_type, begin, end);
  }
  /* Only read() is called. */
  return for_state(format, const_cast<void*>(codes), const_cast<float*>(scales), [&](const auto& state) {
    float values[kMaxBlock];
    for (int64_t i = begin; i < end; i += block) {
      const int64_t count = end - i < block ? end - i : block;
      read(state, i / block, i, count, values);
      for (int64_t j = 0; j < count; ++j) {
        if (out_type == MU_BF16) {
          static_cast<bf16*>(out)[i + j] = round_to_bf16(values[j]);
        } else {
          static_cast<float*>(out)[i + j] = values[j];
        }
      }
    }
    return MU_OK;
  });
}

}  // namespace muonium::cpu::MU_TIER
