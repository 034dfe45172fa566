/*
 * cuda_bench.cu - what our kernels do on a GPU, as a program that needs nothing but the two libraries and the CUDA runtime
 * (and cuBLAS, to compare with). Every kernel is checked before it is measured.
 *
 *   muonium_cuda_bench [--check] [--quick] [BACKEND_LIBRARY]
 *
 * --check checks only; --quick takes small arrays and few runs. BACKEND_LIBRARY is libmuonium_cuda.so beside the program
 * unless it is given. Prints a JSON object per line, and for each figure a line: figure NAME VALUE UNIT. Times are medians
 * between events, of inputs that are random and larger than the caches. Exit status 1 when a check fails, 2 when something
 * cannot run.
 */
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "bench/cuda/attention.h"
#include "bench/cuda/fp8.h"
#include "bench/cuda/newton_schulz.h"
#include "bench/cuda/optimizer.h"
#include "bench/cuda/products.h"

namespace {

using bench::must;
using bench::Session;

std::string beside_the_program() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("libmuonium_cuda.so") : (program.parent_path() / "libmuonium_cuda.so").string();
}

int attribute(cudaDeviceAttr which) {
  int value = 0;
  must(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
  return value;
}

void describe_device() {
  int driver = 0;
  int runtime = 0;
  must(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  must(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  std::size_t free = 0;
  std::size_t total = 0;
  must(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  bench::Line("device")
      .add("compute_capability",
           attribute(cudaDevAttrComputeCapabilityMajor) * 10 + attribute(cudaDevAttrComputeCapabilityMinor))
      .add("multiprocessors", attribute(cudaDevAttrMultiProcessorCount))
      .add("l2_bytes", attribute(cudaDevAttrL2CacheSize))
      .add("free_bytes", static_cast<double>(free))
      .add("total_bytes", static_cast<double>(total))
      .add("driver", driver)
      .add("runtime", runtime)
      .print();
}

/* The ceiling: bytes read plus bytes written by a copy of 1 GiB within the device. */
void bench_copy(Session& session) {
  const std::size_t bytes = static_cast<std::size_t>(session.settings.parameters()) * 4;
  const bench::Memory from(bytes);
  const bench::Memory to(bytes);
  bench::fill(session, from.as(), MU_F32, session.settings.parameters(), 1, 1.0f);
  const bench::Times times = bench::measure(session, [&](int) {
    must(cudaMemcpyAsync(to.as(), from.as(), bytes, cudaMemcpyDeviceToDevice, session.stream), "cudaMemcpyAsync");
  });
  bench::report_pass(session, "copy", times, 2.0 * static_cast<double>(bytes));
  session.copy_gbps = 2.0 * static_cast<double>(bytes) / times.median * 1e-6;
}

mu_context* open(mu_backend backend, const char* library, cudaStream_t stream) {
  mu_context* context = nullptr;
  const mu_tier tier = backend == MU_BACKEND_CPU ? MU_TIER_SCALAR : MU_TIER_AUTO;
  must(mu_context_create(backend, library, 0, stream, tier, &context), "mu_context_create");
  return context;
}

}  // namespace

int main(int count, char** arguments) {
  Session session;
  std::string library = beside_the_program();
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--check") == 0) {
      session.settings.check_only = true;
    } else if (std::strcmp(arguments[i], "--quick") == 0) {
      session.settings.quick = true;
    } else if (arguments[i][0] == '-') {
      std::fprintf(stderr, "usage: muonium_cuda_bench [--check] [--quick] [BACKEND_LIBRARY]\n");
      return 2;
    } else {
      library = arguments[i];
    }
  }
  must(cudaSetDevice(0), "cudaSetDevice");
  must(cudaStreamCreateWithFlags(&session.stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  session.cuda = open(MU_BACKEND_CUDA, library.c_str(), session.stream);
  session.plain = open(MU_BACKEND_CPU, nullptr, nullptr);
  describe_device();
  if (!session.settings.check_only) {
    bench_copy(session);
  }
  bench::bench_optimizers(session);
  bench::check_newton_schulz(session);
  bench::bench_products(session);
  bench::bench_fp8(session);
  bench::bench_attention(session);
  mu_context_destroy(session.plain);
  mu_context_destroy(session.cuda);
  must(cudaStreamDestroy(session.stream), "cudaStreamDestroy");
  bench::Line("checks").add("failed", session.failures).print();
  return session.failures == 0 ? 0 : 1;
}
