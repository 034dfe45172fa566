/*
 * products.h - symmetric products: some rows against sums in FP64, the symmetry bit by bit, then their time beside that
 * of cuBLAS' full product of the same matrices. TFLOP/s count what has to be done: half of 2 n^2 k here, all of it for
 * cuBLAS. A, C and D together are larger than the caches.
 */
#ifndef MUONIUM_BENCH_CUDA_PRODUCTS_H
#define MUONIUM_BENCH_CUDA_PRODUCTS_H

#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "bench/cuda/random.h"

namespace bench {

struct ProductCase {
  const char* kind;
  int64_t n;
  int64_t k;
  bool transposed;
  bool with_d;
  int64_t count;
};

/* out[r][j] <- the sum over the depth for row first + r * apart. */
__global__ void plain_rows(const muonium::bf16* a, const muonium::bf16* b, int64_t n, int64_t k, bool transposed,
                           int64_t apart, int64_t rows, double* out) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e >= rows * n) {
    return;
  }
  const int64_t i = e / n * apart;
  const int64_t j = e % n;
  double sum = 0.0;
  for (int64_t l = 0; l < k; ++l) {
    const float left = muonium::to_float(transposed ? a[l * n + i] : a[i * k + l]);
    const float right = muonium::to_float(transposed ? b[l * n + j] : b[j * k + l]);
    sum += static_cast<double>(left) * static_cast<double>(right);
  }
  out[e] = sum;
}

/* cuBLAS, opened at run time: without it the rest is measured. */
class Cublas final {
 public:
  explicit Cublas(cudaStream_t stream) {
    void* library = dlopen("libcublas.so.13", RTLD_NOW);
    if (library == nullptr) {
      why_ = dlerror();
      return;
    }
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library, "cublasCreate_v2"));
    const auto set_stream = reinterpret_cast<int (*)(void*, cudaStream_t)>(dlsym(library, "cublasSetStream_v2"));
    gemm_ = reinterpret_cast<Gemm>(dlsym(library, "cublasGemmStridedBatchedEx"));
    if (create == nullptr || set_stream == nullptr || gemm_ == nullptr || create(&handle_) != 0 ||
        set_stream(handle_, stream) != 0) {
      why_ = "libcublas.so.13 lacks a function or does not start";
      handle_ = nullptr;
    }
  }

  bool is_there() const { return handle_ != nullptr; }
  const std::string& why() const { return why_; }

  /* Column-major Y (m x n) = A^T B, all bf16, sums over k: what the rows of Y^T are, row-major. */
  void multiply(int64_t m, int64_t n, int64_t k, const std::byte* a, const std::byte* b, std::byte* y) const {
    constexpr int kNone = 0, kTransposed = 1, kBf16 = 14, kCompute32 = 68, kDefault = -1;
    const float one = 1.0f;
    const float zero = 0.0f;
    const auto depth = static_cast<int>(k);
    const int status = gemm_(handle_, kTransposed, kNone, static_cast<int>(m), static_cast<int>(n), depth, &one, a, kBf16,
                             depth, m * k, b, kBf16, depth, n * k, &zero, y, kBf16, static_cast<int>(m), m * n, 1,
                             kCompute32, kDefault);
    if (status != 0) {
      stop("cublasGemmStridedBatchedEx", std::to_string(status).c_str());
    }
  }

  /* Row-major A B^T (or A^T B) is the column-major transpose: B A^T in cuBLAS' eyes. FP32 sums, bf16 out. */
  void multiply(const ProductCase& is, const std::byte* a, const std::byte* b, std::byte* c) const {
    constexpr int kNone = 0, kTransposed = 1, kBf16 = 14, kCompute32 = 68, kDefault = -1;
    const float one = 1.0f;
    const float zero = 0.0f;
    const auto n = static_cast<int>(is.n);
    const auto k = static_cast<int>(is.k);
    const int ld = is.transposed ? n : k;
    const int first = is.transposed ? kNone : kTransposed;
    const int second = is.transposed ? kTransposed : kNone;
    const int status = gemm_(handle_, first, second, n, n, k, &one, b, kBf16, ld, is.n * is.k, a, kBf16, ld,
                             is.n * is.k, &zero, c, kBf16, n, is.n * is.n, static_cast<int>(is.count), kCompute32,
                             kDefault);
    if (status != 0) {
      stop("cublasGemmStridedBatchedEx", std::to_string(status).c_str());
    }
  }

 private:
  using Gemm = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, long long, const void*, int,
                       int, long long, const void*, void*, int, int, long long, int, int, int);
  void* handle_ = nullptr;
  Gemm gemm_ = nullptr;
  std::string why_;
};

class Product final {
 public:
  Product(const Session& session, const ProductCase& is)
      : is_(is), x_(bytes(is.n * is.k)), d_(is.with_d ? bytes(is.n * is.n) : 0), c_(bytes(is.n * is.n)),
        coefficients_(sizeof parts_) {
    parts_[0] = 0.5f;
    parts_[1] = -0.75f;
    parts_[2] = 1.0f / std::sqrt(static_cast<float>(is.k));
    coefficients_.take(parts_, sizeof parts_);
    fill(session, x_.as(), MU_BF16, is.n * is.k * is.count, 11, 1.0f);
    if (is.with_d) {
      fill(session, d_.as(), MU_BF16, is.n * is.n * is.count, 12, 1.0f);
    }
    must(cudaMemsetAsync(c_.as(), 0xff, c_.bytes(), session.stream), "cudaMemsetAsync");
  }

  mu_status run(const Session& session) const {
    const int64_t ld = is_.transposed ? is_.n : is_.k;
    return mu_symmetric_product(session.cuda, MU_BF16, is_.transposed ? 1 : 0, is_.n, is_.k, x_.as(), ld, is_.n * is_.k,
                                x_.as(), ld, is_.n * is_.k, is_.with_d ? d_.as() : nullptr, is_.n, is_.n * is_.n,
                                c_.as(), is_.n, is_.n * is_.n, coefficients_.as<float>(), 0, is_.count);
  }

  void run(const Cublas& cublas) const { cublas.multiply(is_, x_.as(), x_.as(), c_.as()); }

  /* The relative error (Frobenius) of some rows of the last matrix, and how many of their entries are not their mirror's. */
  void check(Session& session, const std::string& name) const {
    const int64_t rows = is_.n < 64 ? is_.n : 64;
    const int64_t apart = is_.n / rows;
    const int64_t last = is_.count - 1;
    const Memory sums(static_cast<std::size_t>(rows * is_.n) * sizeof(double));
    const auto* x = x_.as<muonium::bf16>() + last * is_.n * is_.k;
    must(muonium::cuda::launch(plain_rows, dim3(static_cast<unsigned>((rows * is_.n + 127) / 128)), dim3(128), 0,
                               session.stream, x, x, is_.n, is_.k, is_.transposed, apart, rows, sums.as<double>()),
         "plain_rows");
    synchronize(session, name.c_str());
    const std::vector<std::byte> expected = sums.copy();
    const std::vector<std::byte> d = d_.copy();
    const std::vector<std::byte> c = c_.copy();
    double error = 0.0;
    double size = 0.0;
    double unlike = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t i = r * apart;
      for (int64_t j = 0; j < is_.n; ++j) {
        /* Of D the upper triangle counts. */
        const int64_t upper = i < j ? i * is_.n + j : j * is_.n + i;
        double value;
        std::memcpy(&value, expected.data() + (r * is_.n + j) * static_cast<int64_t>(sizeof value), sizeof value);
        value = parts_[2] * value + (is_.with_d ? parts_[1] * at(d, last, upper) : 0.0) + (i == j ? parts_[0] : 0.0f);
        const double difference = at(c, last, i * is_.n + j) - value;
        error += difference * difference;
        size += value * value;
        unlike += at(c, last, i * is_.n + j) == at(c, last, j * is_.n + i) ? 0.0 : 1.0;
      }
    }
    checked(session, name, "relative_error", std::sqrt(error / size), 4e-3);
    checked(session, name, "entries_unlike_their_mirror", unlike, 0.0);
  }

 private:
  std::size_t bytes(int64_t elements) const { return static_cast<std::size_t>(elements * is_.count) * 2; }
  double at(const std::vector<std::byte>& array, int64_t matrix, int64_t index) const {
    muonium::bf16 value;
    std::memcpy(&value, array.data() + (matrix * is_.n * is_.n + index) * 2, 2);
    return static_cast<double>(muonium::to_float(value));
  }

  ProductCase is_;
  Memory x_;
  Memory d_;
  Memory c_;
  float parts_[3] = {};
  Memory coefficients_;
};

inline void measure_product(Session& session, const std::string& name, const ProductCase& is, const Product& product,
                            const Cublas& cublas) {
  const Times ours = measure(session, [&](int) { must(product.run(session), name); });
  const auto n = static_cast<double>(is.n);
  const double work = n * n * static_cast<double>(is.k) * static_cast<double>(is.count);
  Line line(name);
  add_times(line, session, ours).figure("tflops", work / ours.median * 1e-9, "TFLOP/s");
  if (cublas.is_there()) {
    const Times theirs = measure(session, [&](int) { product.run(cublas); });
    line.add("cublas_ms", theirs.median)
        .figure("cublas_tflops", 2.0 * work / theirs.median * 1e-9, "TFLOP/s")
        .figure("faster_than_cublas", theirs.median / ours.median, "times");
  } else {
    line.add("cublas", "skipped");
  }
  line.print();
}

inline void bench_products(Session& session) {
  const Cublas cublas(session.stream);
  if (!cublas.is_there()) {
    Line("cublas").add("skipped", cublas.why()).print();
  }
  const std::vector<ProductCase> full = {
      {"gram", 768, 768, false, false, 96},     {"gram", 768, 3072, false, false, 48},
      {"gram_tall", 768, 3072, true, false, 48}, {"polynomial", 768, 768, false, true, 72},
      {"gram", 1024, 1024, false, false, 64},   {"polynomial", 1024, 1024, false, true, 48},
      {"gram", 2048, 2048, false, false, 16},   {"polynomial", 2048, 2048, false, true, 12},
      {"gram_tall", 2048, 2048, true, false, 16}, {"gram", 4096, 4096, false, false, 4},
      {"polynomial", 4096, 4096, false, true, 4}, {"polynomial_one", 768, 768, false, true, 1},
  };
  /* The first has just so many of the large tiles that the backend takes them. */
  int multiprocessors = 0;
  must(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "cudaDeviceGetAttribute");
  const std::vector<ProductCase> quick = {
      {"gram", 256, 136, false, false, 2 * multiprocessors / 3 + 1},
      {"gram_tall", 200, 136, true, false, 3},
      {"polynomial", 136, 136, false, true, 2},
  };
  for (const ProductCase& is : session.settings.quick ? quick : full) {
    const std::string name = std::string("product.") + is.kind + ".n" + std::to_string(is.n) + ".k" +
                             std::to_string(is.k) + ".count" + std::to_string(is.count);
    const Product product(session, is);
    must(product.run(session), name);
    product.check(session, name);
    if (!session.settings.check_only) {
      measure_product(session, name, is, product, cublas);
    }
  }
}

}  // namespace bench

#endif
