/*
 * ceilings.cpp - what this machine can do at most, for shares of it: multiply-adds on registers alone, and copies of arrays far
 * larger than the caches. Built on request; jmh/scaling.sh runs it:
 *
 *   ceilings [threads, default 1] [avx2, or nothing for all instructions] [rounds, default 60]
 *
 * Prints a line "NAME,VALUE" for each: GF/s (a multiply-add is two operations) or GB/s (bytes read and written, each once). All
 * threads begin a round together and it lasts until the last has ended. Rounds take about a millisecond, so that on a busy machine
 * there are some that nothing else interrupted: the figure is the best of them, of copies their tenth percentile, because what a cache
 * still holds by chance would be the best.
 */
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace {

/* Sums enough to hide the latency of the instruction, and few enough to stay in registers, of which AVX2 has 16 and AVX-512 has 32. */
constexpr int kNarrowSums = 12;
constexpr int kWideSums = 20;
constexpr int64_t kTurns = 400000;

volatile float g_factor = 1e-3f;
volatile float g_sink;

__attribute__((target("avx2,fma"))) void multiply_avx2() {
  const __m256 a = _mm256_set1_ps(g_factor);
  const __m256 b = _mm256_set1_ps(g_factor);
  __m256 sum[kNarrowSums];
  for (int i = 0; i < kNarrowSums; ++i) sum[i] = _mm256_setzero_ps();
  for (int64_t turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kNarrowSums; ++i) sum[i] = _mm256_fmadd_ps(a, b, sum[i]);
  }
  for (int i = 1; i < kNarrowSums; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  g_sink = _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) void multiply_avx512() {
  const __m512 a = _mm512_set1_ps(g_factor);
  const __m512 b = _mm512_set1_ps(g_factor);
  __m512 sum[kWideSums];
  for (int i = 0; i < kWideSums; ++i) sum[i] = _mm512_setzero_ps();
  for (int64_t turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 20
    for (int i = 0; i < kWideSums; ++i) sum[i] = _mm512_fmadd_ps(a, b, sum[i]);
  }
  for (int i = 1; i < kWideSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  g_sink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) void multiply_bf16() {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(g_factor), _mm512_set1_ps(g_factor));
  const __m512bh b = a;
  __m512 sum[kWideSums];
  for (int i = 0; i < kWideSums; ++i) sum[i] = _mm512_setzero_ps();
  for (int64_t turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 20
    for (int i = 0; i < kWideSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
  }
  for (int i = 1; i < kWideSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  g_sink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx"))) void copy_past_the_cache(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
    _mm256_stream_ps(to + i + 8, _mm256_load_ps(from + i + 8));
  }
  _mm_sfence();
}

__attribute__((target("avx"))) void copy(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += 8) _mm256_store_ps(to + i, _mm256_load_ps(from + i));
}

/* Runs body(thread, round) on all threads at once, round by round, and returns a quantile of the rounds' seconds, 0 for the least. */
double seconds(int threads, int rounds, double quantile, const std::function<void(int thread, int round)>& body) {
  using Clock = std::chrono::steady_clock;
  std::atomic<int> arrived{0};
  std::vector<Clock::time_point> ended(static_cast<std::size_t>(threads));
  std::vector<double> taken;
  const auto meet = [&](int times) {
    arrived.fetch_add(1);
    while (arrived.load() < times * threads) std::this_thread::yield();
  };
  const auto work = [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      meet(2 * round + 1);
      const Clock::time_point begin = Clock::now();
      body(thread, round);
      ended[static_cast<std::size_t>(thread)] = Clock::now();
      meet(2 * round + 2);
      if (thread == 0) {
        const Clock::time_point end = *std::max_element(ended.begin(), ended.end());
        taken.push_back(std::chrono::duration<double>(end - begin).count());
      }
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
  std::sort(taken.begin(), taken.end());
  return taken[static_cast<std::size_t>(quantile * static_cast<double>(taken.size() - 1))];
}

float* aligned_array(int64_t count) {
  void* array = std::aligned_alloc(64, static_cast<std::size_t>(count) * sizeof(float));
  if (array == nullptr) {
    std::fprintf(stderr, "ceilings: no memory for %lld floats\n", static_cast<long long>(count));
    std::exit(1);
  }
  std::memset(array, 0, static_cast<std::size_t>(count) * sizeof(float));
  return static_cast<float*>(array);
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
  const bool only_avx2 = count > 2 && std::strcmp(arguments[2], "avx2") == 0;
  const int rounds = count > 3 ? std::atoi(arguments[3]) : 60;
  if (threads < 1 || rounds < 1) {
    std::fprintf(stderr, "usage: ceilings [threads] [avx2|all] [rounds]\n");
    return 1;
  }
  const auto multiply = [&](const char* name, int operations_per_turn, void (*loop)()) {
    const double time = seconds(threads, rounds, 0.0, [&](int, int) { loop(); });
    std::printf("%s,%.2f\n", name, 1e-9 * operations_per_turn * static_cast<double>(kTurns) * threads / time);
  };
  const bool wide = !only_avx2 && __builtin_cpu_supports("avx512f");
  if (wide) {
    multiply("fp32", 2 * 16 * kWideSums, multiply_avx512);
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    multiply("fp32", 2 * 8 * kNarrowSums, multiply_avx2);
  }
  if (wide && __builtin_cpu_supports("avx512bf16")) multiply("bf16", 4 * 16 * kWideSums, multiply_bf16);

  /* 256 MiB per thread and side, in slices of 4 MiB: no cache holds what a slice will find when its turn comes again. */
  constexpr int64_t kSlice = 1 << 20;
  constexpr int kSlices = 64;
  std::vector<float*> from;
  std::vector<float*> to;
  for (int thread = 0; thread < threads; ++thread) {
    from.push_back(aligned_array(kSlice * kSlices));
    to.push_back(aligned_array(kSlice * kSlices));
  }
  const auto move = [&](const char* name, void (*pass)(const float*, float*, int64_t)) {
    const double time = seconds(threads, std::max(rounds, kSlices), 0.1, [&](int thread, int round) {
      const int64_t begin = round % kSlices * kSlice;
      pass(from[static_cast<std::size_t>(thread)] + begin, to[static_cast<std::size_t>(thread)] + begin, kSlice);
    });
    std::printf("%s,%.2f\n", name, 1e-9 * 8 * kSlice * threads / time);
  };
  move("copy", copy);
  move("non-temporal copy", copy_past_the_cache);
  return 0;
}
