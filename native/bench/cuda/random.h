/* random.h - arrays of random numbers, made on the device: each a function of a seed and its index alone. */
#ifndef MUONIUM_BENCH_CUDA_RANDOM_H
#define MUONIUM_BENCH_CUDA_RANDOM_H

#include "bench/cuda/session.h"
#include "cuda/launch.h"
#include "math/bf16.h"

namespace bench {

MU_MATH uint64_t random_bits(uint64_t seed, int64_t index) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(index) * 0xd1342543de82ef95u + 1;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* The sum of four uniform numbers, which is close to normal, with variance 1. */
MU_MATH float random_normal(uint64_t seed, int64_t index) {
  const uint64_t bits = random_bits(seed, index);
  float sum = -2.0f;
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<float>((bits >> (16 * i)) & 0xffffu) * (1.0f / 65536.0f);
  }
  return sum * 1.7320508f;
}

MU_DEVICE void put(float* to, float x) {
  *to = x;
}

MU_DEVICE void put(muonium::bf16* to, float x) {
  *to = muonium::round_to_bf16(x);
}

/* x[i] <- scale * normal, or scale * |normal| + least. */
template <class T>
__global__ void fill_numbers(T* x, int64_t count, uint64_t seed, float scale, bool positive) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const float number = scale * random_normal(seed, i);
    put(x + i, positive ? (number < 0.0f ? -number : number) + 0.01f * scale : number);
  }
}

/* All codes but 0x80, which INT8 linear does not have. */
__global__ void fill_codes(uint8_t* x, int64_t count, uint64_t seed) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const uint8_t code = static_cast<uint8_t>(random_bits(seed, i) & 0xffu);
    x[i] = code == 0x80u ? uint8_t{0} : code;
  }
}

inline dim3 fill_grid(const Session& session) {
  return dim3(session.settings.quick ? 8u : 2048u);
}

inline void fill(const Session& session, void* x, mu_type type, int64_t count, uint64_t seed, float scale,
                 bool positive = false) {
  using muonium::bf16;
  const cudaError_t error =
      type == MU_BF16 ? muonium::cuda::launch(fill_numbers<bf16>, fill_grid(session), dim3(256), 0, session.stream,
                                              static_cast<bf16*>(x), count, seed, scale, positive)
                      : muonium::cuda::launch(fill_numbers<float>, fill_grid(session), dim3(256), 0, session.stream,
                                              static_cast<float*>(x), count, seed, scale, positive);
  must(error, "filling an array");
}

inline void fill_state(const Session& session, mu_format format, std::byte* codes, float* scales, int64_t count,
                       int64_t scale_count, uint64_t seed, float scale, bool positive = false) {
  if (format == MU_FORMAT_F32) {
    fill(session, codes, MU_F32, count, seed, scale, positive);
    return;
  }
  must(muonium::cuda::launch(fill_codes, fill_grid(session), dim3(256), 0, session.stream,
                             reinterpret_cast<uint8_t*>(codes), count, seed),
       "filling codes");
  fill(session, scales, MU_F32, scale_count, seed + 1, format == MU_FORMAT_INT8_LINEAR ? scale / 127.0f : scale, true);
}

}  // namespace bench

#endif
