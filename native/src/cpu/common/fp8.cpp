/* fp8.cpp - the FP8 block formats: plain loops, which the compiler makes into each tier's vectors. */
#include "cpu/common/fp8.h"

#include "cpu/choose.h"
#include "math/fp8.h"

namespace muonium::cpu::MU_TIER {
namespace {

template <class Body>
mu_status for_fp8(mu_format format, const Body& body) {
  return format == MU_FORMAT_FP8_E4M3 ? body(E4M3{}) : body(E5M2{});
}

inline void put(float* out, float x) {
  *out = x;
}

inline void put(bf16* out, float x) {
  *out = round_to_bf16(x);
}

template <class F, class T>
void quantize_block(const T* x, int64_t count, uint8_t* codes, float* scale) {
  float values[kMaxBlock];
  uint32_t absmax = 0;
  for (int64_t i = 0; i < count; ++i) {
    values[i] = to_float(x[i]);
    const uint32_t magnitude = magnitude_bits(values[i]);
    absmax = magnitude > absmax ? magnitude : absmax;
  }
  const float of_block = fp8_scale<F>(absmax);
  *scale = of_block;
  if (!has_codes(of_block)) {
    memset(codes, 0, static_cast<size_t>(count));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<uint8_t>(fp8_encode<F>(values[i], of_block));
  }
}

}  // namespace

mu_status quantize_fp8(mu_format format, int64_t block, const void* x, mu_type x_type, void* codes, float* scales,
                       int64_t begin, int64_t end) {
  return for_fp8(format, [&]<class F>(F) {
    return for_type(x_type, [&]<class T>(T) {
      for (int64_t i = begin; i < end; i += block) {
        quantize_block<F>(static_cast<const T*>(x) + i, end - i < block ? end - i : block,
                          static_cast<uint8_t*>(codes) + i, scales + i / block);
      }
      return MU_OK;
    });
  });
}

mu_status dequantize_fp8(mu_format format, int64_t block, const void* codes, const float* scales, void* out,
                         mu_type out_type, int64_t begin, int64_t end) {
  return for_fp8(format, [&]<class F>(F) {
    return for_type(out_type, [&]<class T>(T) {
      for (int64_t i = begin; i < end; i += block) {
        const int64_t count = end - i < block ? end - i : block;
        const uint8_t* from = static_cast<const uint8_t*>(codes) + i;
        T* to = static_cast<T*>(out) + i;
        const float scale = scales[i / block];
        for (int64_t j = 0; j < count; ++j) {
          put(to + j, fp8_value<F>(from[j]) * scale);
        }
      }
      return MU_OK;
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
