/*
 * panels_bench.cpp - GF/s of the products of which Newton-Schulz is made, on one thread, beside the processor's peak in the same
 * run: panels_bench [n [m [repetitions]]].
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "muonium.h"

namespace {

/* Seconds that this thread has had the processor: what else the machine does costs it caches, but no time. */
double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/* The fastest of several runs. */
template <class Body>
double seconds(int repetitions, const Body& body) {
  double best = 1e300;
  for (int i = 0; i < repetitions; ++i) {
    const double begin = now();
    body();
    best = std::min(best, now() - begin);
  }
  return best;
}

void require(mu_status status) {
  if (status != MU_OK) {
    std::fprintf(stderr, "%s\n", mu_last_error());
    std::exit(1);
  }
}

struct Panels {
  std::vector<uint16_t> memory;
  uint16_t* data;
  Panels(int64_t rows, int64_t depth)
      : memory(static_cast<size_t>(mu_panel_elements(rows, depth)) + 32) {
    data = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64 / 2;
  }
};

double peak() {
#if defined(__x86_64__)
  if (mu_cpu_has_bf16() != 0) {
    constexpr int64_t kRounds = 1000000;
    const double time = seconds(5, [] {
      int64_t rounds = kRounds;
#define MU_STEP(n) "vdpbf16ps %%zmm31, %%zmm30, %%zmm" #n "\n"
      asm volatile("vpxorq %%zmm30, %%zmm30, %%zmm30\nvpxorq %%zmm31, %%zmm31, %%zmm31\n"
                   "1:\n" MU_STEP(0) MU_STEP(1) MU_STEP(2) MU_STEP(3) MU_STEP(4) MU_STEP(5) MU_STEP(6) MU_STEP(7)
                   MU_STEP(8) MU_STEP(9) MU_STEP(10) MU_STEP(11) MU_STEP(12) MU_STEP(13) MU_STEP(14) MU_STEP(15)
                   "dec %0\njnz 1b\n"
                   : "+r"(rounds)
                   :
                   : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                     "xmm12", "xmm13", "xmm14", "xmm15", "xmm30", "xmm31");
#undef MU_STEP
    });
    return 64.0 * 16 * kRounds / time * 1e-9;
  }
#endif
  return 0;
}

void report(const char* what, double useful, double time) {
  std::printf("%-28s %9.3f ms %8.1f GF/s useful  %5.1f %% of peak\n", what, time * 1e3, useful / time * 1e-9,
              100 * useful / time * 1e-9 / peak());
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t n = argc > 1 ? std::atoll(argv[1]) : 768;
  const int64_t m = argc > 2 ? std::atoll(argv[2]) : 3072;
  const int repetitions = argc > 3 ? std::atoi(argv[3]) : 9;
  mu_context* context = nullptr;
  require(mu_context_create(MU_BACKEND_CPU, nullptr, 0, nullptr, MU_TIER_AUTO, &context));
  std::printf("%s, peak %.1f GF/s\n", mu_cpu_name(), peak());
  std::vector<uint16_t> x(static_cast<size_t>(n * m));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<uint16_t>(0x3c00 + (i * 2654435761u >> 24 & 0x7f) + (i * 40503u >> 13 & 1) * 0x8000);
  }
  Panels rows(n, m);
  Panels columns(m, n);
  Panels out_rows(n, m);
  Panels out_columns(m, n);
  Panels r(n, n);
  Panels z(n, n);
  const double dn = static_cast<double>(n);
  const double dm = static_cast<double>(m);
  const double pack = seconds(repetitions, [&] {
    require(mu_pack_panels(context, 1.0f, x.data(), m, n, m, rows.data, columns.data, 0, n));
  });
  std::printf("%-28s %9.3f ms %8.3f ns/element\n", "pack", pack * 1e3, pack * 1e9 / (dn * dm));
  mu_panel_product gram = {};
  gram.a = gram.b = rows.data;
  gram.c = r.data;
  gram.rows = gram.cols = n;
  gram.depth = m;
  gram.c2 = 1.0f / static_cast<float>(m);
  gram.symmetric = 1;
  report("X X^T", dn * dn * dm, seconds(repetitions, [&] { require(mu_multiply_panels(context, &gram, 0, n, 0, n)); }));
  mu_panel_product polynomial = gram;
  polynomial.a = polynomial.b = polynomial.d = r.data;
  polynomial.c = z.data;
  polynomial.depth = n;
  polynomial.c0 = polynomial.c1 = 1.0f;
  report("a I + b R + c R^2", dn * dn * dn,
         seconds(repetitions, [&] { require(mu_multiply_panels(context, &polynomial, 0, n, 0, n)); }));
  mu_panel_product apply = {};
  apply.a = columns.data;
  apply.b = z.data;
  apply.c = out_columns.data;
  apply.c_transposed = out_rows.data;
  apply.rows = m;
  apply.cols = apply.depth = n;
  apply.c2 = 1.0f;
  report("X <- Z X", 2 * dn * dn * dm,
         seconds(repetitions, [&] { require(mu_multiply_panels(context, &apply, 0, m, 0, n)); }));
  mu_panel_product last = {};
  last.a = z.data;
  last.b = columns.data;
  last.c_dense = x.data();
  last.c_ld = m;
  last.rows = last.depth = n;
  last.cols = m;
  last.c2 = 1.0f;
  report("Z X, dense", 2 * dn * dn * dm,
         seconds(repetitions, [&] { require(mu_multiply_panels(context, &last, 0, n, 0, m)); }));
  require(mu_context_destroy(context));
}
