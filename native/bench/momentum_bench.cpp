/*
 * momentum_bench.cpp - nanoseconds per parameter of the streaming kernels in each tier, on arrays far larger than the
 * caches, on one thread; beside a non-temporal copy in the same rounds. Built on request, run by hand:
 *
 *   momentum_bench [slices of 2^20 parameters, default 64] [rounds, default 7]
 *
 * GB/s counts every byte that the pass must read or write, once. Slices of a pass and of the copy take turns, each timed
 * by itself in CPU time of the thread, which other work on the processor does not lengthen; but that slows down the
 * memory, so "of copy" compares each slice with the copy that came right before it. All figures are medians.
 */
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "muonium.h"

namespace {

struct Pass {
  std::string name;
  double bytes_per_parameter;
  std::function<void(int64_t begin, int64_t end)> run;
  std::vector<double> seconds;
  std::vector<double> copy_seconds; /* of the copies right before */
};

template <class T>
T* aligned_array(std::size_t count) {
  T* array = static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64));
  if (array == nullptr) {
    std::fprintf(stderr, "no memory for %zu bytes\n", count * sizeof(T));
    std::exit(1);
  }
  return array;
}

constexpr int64_t kSlice = 1 << 20;
constexpr double kCopyBytes = 8.0; /* per parameter */

void stream_copy(const float* from, float* to, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += 16) {
    _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
    _mm256_stream_ps(to + i + 8, _mm256_load_ps(from + i + 8));
  }
  _mm_sfence();
}

void must(mu_status status) {
  if (status != MU_OK) {
    std::fprintf(stderr, "%s\n", mu_last_error());
    std::exit(1);
  }
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <class Body>
double cpu_seconds_of(const Body& body) {
  const double start = cpu_seconds();
  body();
  return cpu_seconds() - start;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int count, char** arguments) {
  const int64_t n = (count > 1 ? std::atoll(arguments[1]) : 64) * kSlice;
  const int rounds = count > 2 ? std::atoi(arguments[2]) : 7;
  const std::size_t size = static_cast<std::size_t>(n);
  float* gradient = aligned_array<float>(size);
  float* wide = aligned_array<float>(size);    /* FP32 momentum, or FP32 out */
  float* weights = aligned_array<float>(size);
  uint16_t* update = aligned_array<uint16_t>(size);
  int8_t* linear = aligned_array<int8_t>(size);
  uint8_t* m = aligned_array<uint8_t>(size);
  uint8_t* v = aligned_array<uint8_t>(size);
  float* scales = aligned_array<float>(size / 128);
  float* m_scales = aligned_array<float>(size / 128);
  float* v_scales = aligned_array<float>(size / 128);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < size; ++i) {
    gradient[i] = i < 4096 ? normal(random) : gradient[(i * 2654435761u) % 4096];
    wide[i] = gradient[i];
    weights[i] = gradient[i];
    update[i] = 0;
  }
  double sum = 0.0;
  std::vector<Pass> passes;
  passes.push_back({"non-temporal copy", kCopyBytes,
                    [&](int64_t begin, int64_t end) { stream_copy(gradient, wide, begin, end); }, {}, {}});
  std::vector<mu_context*> contexts;
  for (int tier = MU_TIER_SCALAR + 1; tier <= mu_cpu_best_tier(); ++tier) {
    mu_context* context = nullptr;
    must(mu_context_create(MU_BACKEND_CPU, nullptr, 0, nullptr, static_cast<mu_tier>(tier), &context));
    contexts.push_back(context);
    const std::string name = std::string(mu_tier_name(static_cast<mu_tier>(tier))) + " ";
    must(mu_quantize(context, MU_FORMAT_INT8_LINEAR, 128, gradient, MU_F32, linear, scales, 0, n));
    must(mu_quantize(context, MU_FORMAT_INT8_DYNAMIC_SIGNED, 128, gradient, MU_F32, m, m_scales, 0, n));
    must(mu_quantize(context, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, 128, gradient, MU_F32, v, v_scales, 0, n));
    const double scale_bytes = 2 * 4.0 / 128;
    const auto momentum = [=, &sum](mu_format format, void* state, float* state_scales) {
      return [=, &sum](int64_t begin, int64_t end) {
        must(mu_muon_momentum(context, format, 128, gradient, MU_F32, 1.0f, state, state_scales, update, MU_BF16, 0.95,
                              1, begin, end, &sum));
      };
    };
    passes.push_back({name + "momentum INT8 -> bf16", 8.0 + scale_bytes,
                      momentum(MU_FORMAT_INT8_LINEAR, linear, scales), {}, {}});
    passes.push_back({name + "momentum FP32 -> bf16", 14.0, momentum(MU_FORMAT_F32, wide, nullptr), {}, {}});
    passes.push_back({name + "momentum dynamic -> bf16", 8.0 + scale_bytes,
                      momentum(MU_FORMAT_INT8_DYNAMIC_SIGNED, m, m_scales), {}, {}});
    const auto quantize = [=](mu_format format, void* codes, float* code_scales) {
      return [=](int64_t begin, int64_t end) {
        must(mu_quantize(context, format, 128, gradient, MU_F32, codes, code_scales, begin, end));
      };
    };
    const auto dequantize = [=](mu_format format, const void* codes, const float* code_scales) {
      return [=](int64_t begin, int64_t end) {
        must(mu_dequantize(context, format, 128, codes, code_scales, wide, MU_F32, begin, end));
      };
    };
    const double coded = 5.0 + scale_bytes / 2;
    passes.push_back({name + "quantize INT8", coded, quantize(MU_FORMAT_INT8_LINEAR, linear, scales), {}, {}});
    passes.push_back({name + "dequantize INT8 -> FP32", coded, dequantize(MU_FORMAT_INT8_LINEAR, linear, scales), {}, {}});
    passes.push_back({name + "quantize dynamic", coded, quantize(MU_FORMAT_INT8_DYNAMIC_SIGNED, m, m_scales), {}, {}});
    passes.push_back(
        {name + "dequantize dynamic -> FP32", coded, dequantize(MU_FORMAT_INT8_DYNAMIC_SIGNED, m, m_scales), {}, {}});
    passes.push_back({name + "AdamW 8-bit, FP32 weights", 16.0 + 2 * scale_bytes,
                      [=](int64_t begin, int64_t end) {
                        const mu_adamw_params params = {1e-4, 0.9, 0.999, 1e-8, 0.1, 0.5, 0.1, 1.0};
                        must(mu_adamw(context, &params, 128, weights, MU_F32, nullptr, gradient, MU_F32,
                                      MU_FORMAT_INT8_DYNAMIC_SIGNED, m, m_scales, MU_FORMAT_INT8_DYNAMIC_UNSIGNED, v,
                                      v_scales, nullptr, begin, end));
                      },
                      {}, {}});
    passes.push_back({name + "sum of squares", 4.0,
                      [=, &sum](int64_t begin, int64_t end) {
                        must(mu_sum_squares(context, gradient, MU_F32, begin, end, &sum));
                      },
                      {}, {}});
    passes.push_back({name + "update bf16 weights at random", 8.0,
                      [=](int64_t begin, int64_t end) {
                        const mu_rounding rounding = {1, 2, 3};
                        must(mu_muon_update(context, update, MU_BF16, kSlice, nullptr, gradient, MU_F32, kSlice, 0.999f,
                                            0.001f, &rounding, kSlice, begin / kSlice, end / kSlice));
                      },
                      {}, {}});
  }
  for (int round = 0; round < rounds; ++round) {
    for (Pass& pass : passes) {
      for (int64_t begin = 0; begin < n; begin += kSlice) {
        /* Far from the slice of the pass, so that neither finds in the caches what the other left there. */
        const int64_t far = (begin + n / kSlice / 2 * kSlice) % n;
        pass.copy_seconds.push_back(cpu_seconds_of([&] { stream_copy(gradient, wide, far, far + kSlice); }));
        pass.seconds.push_back(cpu_seconds_of([&] { pass.run(begin, begin + kSlice); }));
      }
    }
  }
  std::printf("%s, %lld parameters, %d rounds\n%-40s %10s %8s %8s\n", mu_cpu_name(), static_cast<long long>(n), rounds,
              "pass", "ns/param", "GB/s", "of copy");
  for (const Pass& pass : passes) {
    std::vector<double> of_copy;
    for (std::size_t i = 0; i < pass.seconds.size(); ++i) {
      of_copy.push_back(pass.bytes_per_parameter / kCopyBytes * pass.copy_seconds[i] / pass.seconds[i]);
    }
    const double seconds = median(pass.seconds);
    std::printf("%-40s %10.3f %8.1f %7.0f%%\n", pass.name.c_str(), seconds / kSlice * 1e9,
                pass.bytes_per_parameter * kSlice / seconds / 1e9, 100 * median(of_copy));
  }
  for (mu_context* context : contexts) {
    mu_context_destroy(context);
  }
  return 0;
}
