/* emulated_blas_test.cpp - the stand-ins for cuBLAS and cublasLt against plain sums in double, and what they refuse. */
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "check.h"
#include "matrix.h"
#include "muonium_emulator.h"
#include "on_device.h"

struct Handle;
extern "C" {
int cublasCreate_v2(Handle** handle);
int cublasDestroy_v2(Handle* handle);
int cublasSetPointerMode_v2(Handle* handle, int mode);
int cublasSetStream_v2(Handle* handle, cudaStream_t stream);
int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes);
int cublasGemmEx_64(Handle* handle, int transa, int transb, int64_t m, int64_t n, int64_t k, const void* alpha,
                    const void* a, int a_type, int64_t lda, const void* b, int b_type, int64_t ldb, const void* beta,
                    void* c, int c_type, int64_t ldc, int compute, int algorithm);
int cublasGemmStridedBatchedEx(Handle* handle, int transa, int transb, int m, int n, int k, const void* alpha,
                               const void* a, int a_type, int lda, long long stride_a, const void* b, int b_type,
                               int ldb, long long stride_b, const void* beta, void* c, int c_type, int ldc,
                               long long stride_c, int count, int compute, int algorithm);
int cublasGemmBatchedEx(Handle* handle, int transa, int transb, int m, int n, int k, const void* alpha,
                        const void* const a[], int a_type, int lda, const void* const b[], int b_type, int ldb,
                        const void* beta, void* const c[], int c_type, int ldc, int count, int compute, int algorithm);
int cublasSsyrk_v2(Handle* handle, int uplo, int trans, int n, int k, const float* alpha, const float* a, int lda,
                   const float* beta, float* c, int ldc);
int cublasSsymm_v2(Handle* handle, int side, int uplo, int m, int n, const float* alpha, const float* a, int lda,
                   const float* b, int ldb, const float* beta, float* c, int ldc);
int cublasLtCreate(Handle** handle);
int cublasLtDestroy(Handle* handle);
int cublasLtMatmulDescCreate(void** operation, int compute, int scale);
int cublasLtMatmulDescSetAttribute(void* operation, int attribute, const void* value, size_t bytes);
int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t cols, int64_t ld);
int cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* value, size_t bytes);
int cublasLtMatmul(Handle* handle, void* operation, const void* alpha, const void* a, void* a_layout, const void* b,
                   void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                   const void* algorithm, void* workspace, size_t bytes, cudaStream_t stream);
}

namespace {

using namespace muonium::emulator;
using test::OnDevice;

constexpr int kCompute32F = 68;

/* Numbers of which sums of products are exact in FP32, in every type. */
std::vector<float> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> x(count);
  for (float& one : x) {
    one = static_cast<float>(static_cast<int>(random() % 15) - 7) / 4.0f;
  }
  return x;
}

std::vector<unsigned char> as(const std::vector<float>& x, int type) {
  std::vector<unsigned char> bytes(x.size() * size_of(type));
  for (size_t i = 0; i < x.size(); ++i) {
    store_element(bytes.data(), type, static_cast<int64_t>(i), x[i]);
  }
  return bytes;
}

std::vector<float> from(const std::vector<unsigned char>& bytes, int type) {
  std::vector<float> x(bytes.size() / size_of(type));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = load_element(bytes.data(), type, static_cast<int64_t>(i));
  }
  return x;
}

struct Case {
  int transa, transb;
  int64_t m, n, k;
  int64_t lda, ldb, ldc;

  size_t a_size() const { return static_cast<size_t>(lda * (transa != 0 ? m : k)); }
  size_t b_size() const { return static_cast<size_t>(ldb * (transb != 0 ? k : n)); }
  size_t c_size() const { return static_cast<size_t>(ldc * n); }
};

/* Written from the definition, with double sums. */
std::vector<float> expected(const Case& p, double alpha, const float* a, const float* b, double beta,
                            std::vector<float> c) {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = 0.0;
      for (int64_t l = 0; l < p.k; ++l) {
        const double x = static_cast<double>(p.transa != 0 ? a[l + i * p.lda] : a[i + l * p.lda]);
        const double y = static_cast<double>(p.transb != 0 ? b[j + l * p.ldb] : b[l + j * p.ldb]);
        sum += x * y;
      }
      float& to = c[static_cast<size_t>(i + j * p.ldc)];
      to = static_cast<float>(alpha * sum + (beta == 0.0 ? 0.0 : beta * static_cast<double>(to)));
    }
  }
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int transa : {0, 1}) {
    for (const int transb : {0, 1}) {
      for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {5, 3, 7}, {70, 9, 33}}) {
        all.push_back(Case{transa, transb, m, n, k, (transa != 0 ? k : m) + 2, (transb != 0 ? n : k) + 1, m + 3});
      }
    }
  }
  return all;
}

struct Blas {
  Handle* handle = nullptr;
  Blas() { CHECK_EQUAL(cublasCreate_v2(&handle), 0); }
  ~Blas() { cublasDestroy_v2(handle); }
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
};

}  // namespace

MU_TEST(emulated_blas, gemm_multiplies_in_every_type_and_transposition) {
  const Blas blas;
  for (const auto& [type, out] :
       {std::pair<int, int>{kF32, kF32}, {kBF16, kBF16}, {kBF16, kF32}, {kF16, kF16}, {kF16, kF32}}) {
    for (const Case& p : cases()) {
      for (const float beta : {0.0f, 2.0f}) {
        const std::vector<float> a = numbers(p.a_size(), 1);
        const std::vector<float> b = numbers(p.b_size(), 2);
        /* beta = 0 must not read C: NaN in every type. */
        const std::vector<float> c = beta == 0.0f ? std::vector<float>(p.c_size(), NAN) : numbers(p.c_size(), 3);
        OnDevice<unsigned char> on_a(as(a, type));
        OnDevice<unsigned char> on_b(as(b, type));
        OnDevice<unsigned char> on_c(as(c, out));
        const float alpha = 0.5f;
        CHECK_EQUAL(cublasGemmEx_64(blas.handle, p.transa, p.transb, p.m, p.n, p.k, &alpha, on_a.data(), type, p.lda,
                                    on_b.data(), type, p.ldb, &beta, on_c.data(), out, p.ldc, kCompute32F, -1),
                    0);
        const std::vector<float> right = from(as(expected(p, 0.5, a.data(), b.data(), static_cast<double>(beta), c), out), out);
        const std::vector<float> got = from(on_c.values(), out);
        for (size_t i = 0; i < got.size(); ++i) {
          CHECK(got[i] == right[i] || (std::isnan(got[i]) && std::isnan(right[i])));
        }
      }
    }
  }
}

MU_TEST(emulated_blas, gemm_in_batches_by_stride_and_by_pointer) {
  const Blas blas;
  const Case p = {0, 1, 6, 4, 5, 6, 4, 6};
  const std::vector<float> a = numbers(3 * p.a_size(), 1);
  const std::vector<float> b = numbers(3 * p.b_size(), 2);
  const std::vector<float> c = numbers(3 * p.c_size(), 3);
  OnDevice<float> on_a(a);
  OnDevice<float> on_b(b);
  OnDevice<float> by_stride(c);
  OnDevice<float> by_pointer(c);
  /* The scalars from the device, as they are when the product runs. */
  OnDevice<float> scalars(2);
  CHECK_EQUAL(cublasSetPointerMode_v2(blas.handle, 1), 0);
  CHECK_EQUAL(cublasGemmStridedBatchedEx(blas.handle, 0, 1, 6, 4, 5, scalars.data(), on_a.data(), kF32, 6,
                                         static_cast<long long>(p.a_size()), on_b.data(), kF32, 4,
                                         static_cast<long long>(p.b_size()), scalars.data() + 1, by_stride.data(), kF32,
                                         6, static_cast<long long>(p.c_size()), 3, kCompute32F, -1),
              0);
  std::vector<const void*> pointers;
  for (size_t i = 0; i < 3; ++i) {
    pointers.push_back(on_a.data() + i * p.a_size());
  }
  for (size_t i = 0; i < 3; ++i) {
    pointers.push_back(on_b.data() + i * p.b_size());
  }
  for (size_t i = 0; i < 3; ++i) {
    pointers.push_back(by_pointer.data() + i * p.c_size());
  }
  const std::vector<float> values = {3.0f, -1.0f};
  Handle* fresh = nullptr;
  CHECK_EQUAL(cublasCreate_v2(&fresh), 0);
  OnDevice<const void*> table(pointers);
  CHECK_EQUAL(cublasGemmBatchedEx(fresh, 0, 1, 6, 4, 5, &values[0], table.data(), kF32, 6, table.data() + 3, kF32, 4,
                                  &values[1], const_cast<void**>(table.data() + 6), kF32, 6, 3, kCompute32F, -1),
              0);
  std::vector<float> right;
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<float> one(c.begin() + static_cast<std::ptrdiff_t>(i * p.c_size()),
                                 c.begin() + static_cast<std::ptrdiff_t>((i + 1) * p.c_size()));
    const std::vector<float> product = expected(p, 3.0, a.data() + i * p.a_size(), b.data() + i * p.b_size(), -1.0, one);
    right.insert(right.end(), product.begin(), product.end());
  }
  CHECK(by_pointer.values() == right);
  CHECK_EQUAL(cublasDestroy_v2(fresh), 0);
  /* The copy of `table` ran the legacy stream, and with it the first product, whose scalars were still garbage. */
  CHECK(std::isnan(by_stride.values()[0]));
}

MU_TEST(emulated_blas, symmetric_products_read_and_write_one_triangle) {
  const Blas blas;
  const std::vector<float> a = numbers(20, 1);
  const std::vector<float> c = numbers(25, 2);
  const float alpha = 2.0f;
  const float beta = 3.0f;
  for (const int uplo : {0, 1}) {
    for (const int trans : {0, 1}) {
      OnDevice<float> on_a(a);
      OnDevice<float> on_c(c);
      const int lda = trans != 0 ? 4 : 5;
      CHECK_EQUAL(cublasSsyrk_v2(blas.handle, uplo, trans, 5, 4, &alpha, on_a.data(), lda, &beta, on_c.data(), 5), 0);
      const std::vector<float> got = on_c.values();
      for (size_t j = 0; j < 5; ++j) {
        for (size_t i = 0; i < 5; ++i) {
          double sum = 0.0;
          for (size_t l = 0; l < 4; ++l) {
            sum += trans != 0 ? static_cast<double>(a[l + 4 * i]) * static_cast<double>(a[l + 4 * j])
                              : static_cast<double>(a[i + 5 * l]) * static_cast<double>(a[j + 5 * l]);
          }
          const bool written = uplo == 0 ? i >= j : i <= j;
          const double right = written ? 2.0 * sum + 3.0 * static_cast<double>(c[i + 5 * j])
                                       : static_cast<double>(c[i + 5 * j]);
          CHECK_EQUAL(static_cast<double>(got[i + 5 * j]), right);
        }
      }
    }
    for (const int side : {0, 1}) {
      const std::vector<float> s = numbers(side == 0 ? 25 : 16, 4);
      const size_t order = side == 0 ? 5 : 4;
      const std::vector<float> b = numbers(20, 5);
      OnDevice<float> on_s(s);
      OnDevice<float> on_b(b);
      OnDevice<float> out(numbers(20, 6));
      const float none = 0.0f;
      CHECK_EQUAL(cublasSsymm_v2(blas.handle, side, uplo, 5, 4, &alpha, on_s.data(), static_cast<int>(order),
                                 on_b.data(), 5, &none, out.data(), 5),
                  0);
      const std::vector<float> got = out.values();
      for (size_t i = 0; i < 5; ++i) {
        for (size_t j = 0; j < 4; ++j) {
          double sum = 0.0;
          for (size_t l = 0; l < order; ++l) {
            const auto symmetric = [&](size_t r, size_t q) {
              const bool stored = uplo == 0 ? r >= q : r <= q;
              return static_cast<double>(stored ? s[r + order * q] : s[q + order * r]);
            };
            sum += side == 0 ? symmetric(i, l) * static_cast<double>(b[l + 5 * j])
                             : static_cast<double>(b[i + 5 * l]) * symmetric(l, j);
          }
          CHECK_EQUAL(static_cast<double>(got[i + 5 * j]), 2.0 * sum);
        }
      }
    }
  }
}

MU_TEST(emulated_blas, what_cublas_refuses_is_refused) {
  const Blas blas;
  OnDevice<float> x(64);
  OnDevice<float> y(64);
  const float one = 1.0f;
  const auto gemm = [&](Handle* handle, int transa, int64_t m, int64_t lda, int a_type, int b_type, int c_type,
                        int compute, const float* alpha) {
    return cublasGemmEx_64(handle, transa, 0, m, 4, 4, alpha, x.data(), a_type, lda, x.data(), b_type, 4, &one,
                           y.data(), c_type, 4, compute, -1);
  };
  CHECK_EQUAL(gemm(nullptr, 0, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 1);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 3, kF32, kF32, kF32, kCompute32F, &one), 7);
  CHECK_EQUAL(gemm(blas.handle, 9, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 7);
  CHECK_EQUAL(gemm(blas.handle, 0, -4, 4, kF32, kF32, kF32, kCompute32F, &one), 7);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, kCompute32F, nullptr), 7);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kBF16, kF32, kF32, kCompute32F, &one), 15);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kBF16, kCompute32F, &one), 15);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, 64, &one), 15);
  CHECK_EQUAL(gemm(blas.handle, 0, 0, 4, kF32, kF32, kF32, kCompute32F, &one), 0);
  OnDevice<unsigned char> workspace(4096);
  CHECK_EQUAL(cublasSetWorkspace_v2(blas.handle, workspace.data() + 16, 1024), 7);
  CHECK_EQUAL(cublasSetWorkspace_v2(blas.handle, workspace.data(), 8192), 7);
  CHECK_EQUAL(cublasSetWorkspace_v2(blas.handle, workspace.data(), 4096), 0);
  /* Setting the stream forgets it, which shows in the count. */
  const int64_t before = mu_emulator_call_count("cublas without a workspace of the caller");
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 0);
  CHECK_EQUAL(mu_emulator_call_count("cublas without a workspace of the caller"), before);
  CHECK_EQUAL(cublasSetStream_v2(blas.handle, nullptr), 0);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 0);
  CHECK_EQUAL(mu_emulator_call_count("cublas without a workspace of the caller"), before + 1);
  CHECK_CUDA(cudaDeviceSynchronize());
  mu_emulator_fail_next("cublasGemmEx_64", 14);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 14);
  /* An operand that is not in the device's memory is a fault. */
  CHECK_EQUAL(cublasGemmEx_64(blas.handle, 0, 0, 4, 4, 20, &one, x.data(), kF32, 4, x.data(), kF32, 20, &one, y.data(),
                              kF32, 4, kCompute32F, -1),
              0);
  CHECK_EQUAL(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  CHECK_EQUAL(gemm(blas.handle, 0, 4, 4, kF32, kF32, kF32, kCompute32F, &one), 13);
  mu_emulator_reset();
}

/* --- cublasLt ----------------------------------------------------------------------------------------------------- */

namespace {

constexpr int kTransA = 3;
constexpr int kTransB = 4;
constexpr int kAScale = 17;
constexpr int kBScale = 18;
constexpr int kDScale = 20;
constexpr int kAbsmax = 21;

}  // namespace

MU_TEST(emulated_blas, lt_multiplies_fp8_with_scales) {
  Handle* lt = nullptr;
  CHECK_EQUAL(cublasLtCreate(&lt), 0);
  const Case p = {1, 0, 16, 32, 48, 48, 48, 16};
  const std::vector<float> a = numbers(p.a_size(), 1);
  const std::vector<float> b = numbers(p.b_size(), 2);
  const std::vector<float> none(p.c_size(), 0.0f);
  const std::vector<float> plain = expected(p, 0.5 * 4.0, a.data(), b.data(), 0.0, none);
  for (const auto& [at, bt, dt] :
       {std::tuple<int, int, int>{kE4M3, kE4M3, kF32}, {kE5M2, kE4M3, kBF16}, {kE4M3, kE5M2, kE4M3}}) {
    OnDevice<unsigned char> on_a(as(a, at));
    OnDevice<unsigned char> on_b(as(b, bt));
    OnDevice<unsigned char> on_d(p.c_size() * size_of(dt));
    OnDevice<float> scales(std::vector<float>{0.5f, 4.0f, 0.125f, -1.0f});
    void* operation = nullptr;
    void* layouts[4] = {};
    CHECK_EQUAL(cublasLtMatmulDescCreate(&operation, kCompute32F, kF32), 0);
    const int32_t transposed = 1;
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kTransA, &transposed, 4), 0);
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kTransA, &transposed, 8), 7);
    const auto give = [&](int attribute, float* pointer) {
      CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, attribute, &pointer, 8), 0);
    };
    give(kAScale, scales.data());
    give(kBScale, scales.data() + 1);
    if (dt == kE4M3) {
      give(kDScale, scales.data() + 2);
      give(kAbsmax, scales.data() + 3);
    }
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[0], at, 48, 16, 48), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[1], bt, 48, 32, 48), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[2], dt == kE4M3 ? static_cast<int>(kBF16) : dt, 16, 32, 16), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[3], dt, 16, 32, 16), 0);
    const float alpha = 1.0f;
    const float beta = 0.0f;
    const auto run = [&](void* first) {
      return cublasLtMatmul(lt, operation, &alpha, on_a.data(), first, on_b.data(), layouts[1], &beta, on_d.data(),
                            layouts[2], on_d.data(), layouts[3], nullptr, nullptr, 0, nullptr);
    };
    CHECK_EQUAL(run(layouts[0]), 0);
    std::vector<float> right = plain;
    float greatest = 0.0f;
    for (float& x : right) {
      greatest = std::max(greatest, std::fabs(x));
      x = dt == kE4M3 ? x * 0.125f : x;
    }
    CHECK(from(on_d.values(), dt) == from(as(right, dt), dt));
    if (dt == kE4M3) {
      CHECK_EQUAL(scales.values()[3], greatest);
    }
    /* A that is not transposed. */
    const int32_t straight = 0;
    void* other = nullptr;
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&other, at, 16, 48, 16), 0);
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kTransA, &straight, 4), 0);
    CHECK_EQUAL(run(other), 15);
  }
  CHECK_EQUAL(cublasLtDestroy(lt), 0);
}

MU_TEST(emulated_blas, lt_knows_row_major_matrices_and_batches) {
  Handle* lt = nullptr;
  CHECK_EQUAL(cublasLtCreate(&lt), 0);
  /* Row-major C (2 x 3) = A (2 x 4) B (4 x 3), twice. */
  const std::vector<float> a = numbers(16, 1);
  const std::vector<float> b = numbers(24, 2);
  OnDevice<unsigned char> on_a(as(a, kBF16));
  OnDevice<unsigned char> on_b(as(b, kBF16));
  OnDevice<float> on_d(12);
  void* operation = nullptr;
  void* layouts[3] = {};
  CHECK_EQUAL(cublasLtMatmulDescCreate(&operation, kCompute32F, kF32), 0);
  const uint64_t shapes[3][2] = {{2, 4}, {4, 3}, {2, 3}};
  for (size_t i = 0; i < 3; ++i) {
    const int32_t by_rows = 1;
    const int32_t two = 2;
    const int64_t stride = static_cast<int64_t>(shapes[i][0] * shapes[i][1]);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[i], i == 2 ? kF32 : kBF16, shapes[i][0], shapes[i][1],
                                           static_cast<int64_t>(shapes[i][1])),
                0);
    CHECK_EQUAL(cublasLtMatrixLayoutSetAttribute(layouts[i], 1, &by_rows, 4), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutSetAttribute(layouts[i], 5, &two, 4), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutSetAttribute(layouts[i], 6, &stride, 8), 0);
  }
  const float alpha = 1.0f;
  const float beta = 0.0f;
  CHECK_EQUAL(cublasLtMatmul(lt, operation, &alpha, on_a.data(), layouts[0], on_b.data(), layouts[1], &beta,
                             on_d.data(), layouts[2], on_d.data(), layouts[2], nullptr, nullptr, 0, nullptr),
              0);
  const std::vector<float> got = on_d.values();
  for (size_t batch = 0; batch < 2; ++batch) {
    for (size_t i = 0; i < 2; ++i) {
      for (size_t j = 0; j < 3; ++j) {
        double sum = 0.0;
        for (size_t l = 0; l < 4; ++l) {
          sum += static_cast<double>(a[8 * batch + 4 * i + l]) * static_cast<double>(b[12 * batch + 3 * l + j]);
        }
        CHECK_EQUAL(static_cast<double>(got[6 * batch + 3 * i + j]), sum);
      }
    }
  }
  CHECK_EQUAL(cublasLtDestroy(lt), 0);
}

namespace {

constexpr int kAScaleMode = 31;
constexpr int kBScaleMode = 32;
constexpr int kScalar = 0;
constexpr int kVectors = 4;
constexpr int kSquares = 5;

/* The device's compute capability while it lives. */
struct Capability {
  explicit Capability(const char* number) { setenv("MU_EMULATOR_CC", number, 1); }
  ~Capability() { unsetenv("MU_EMULATOR_CC"); }
  Capability(const Capability&) = delete;
  Capability& operator=(const Capability&) = delete;
};

/* An FP8 product of m x n x k as it should be; each member can be made wrong. */
struct Fp8Product {
  int a_type = kE4M3;
  int b_type = kE4M3;
  int d_type = kF32;
  int a_mode = kScalar;
  int b_mode = kScalar;
  int64_t m = 16;
  int64_t n = 8;
  int64_t k = 32;
  int64_t ld = 32;
  size_t offset = 0;       /* of A */
  size_t scale_offset = 0; /* of A's, in floats */

  int run(const std::vector<unsigned char>& a, const std::vector<unsigned char>& b, const std::vector<float>& a_scales,
          const std::vector<float>& b_scales, std::vector<float>* result) const {
    Handle* lt = nullptr;
    CHECK_EQUAL(cublasLtCreate(&lt), 0);
    OnDevice<unsigned char> on_a(a);
    OnDevice<unsigned char> on_b(b);
    OnDevice<float> on_a_scales(a_scales);
    OnDevice<float> on_b_scales(b_scales);
    OnDevice<unsigned char> on_d(static_cast<size_t>(m * n) * size_of(d_type));
    void* operation = nullptr;
    void* layouts[3] = {};
    CHECK_EQUAL(cublasLtMatmulDescCreate(&operation, kCompute32F, kF32), 0);
    const int32_t transposed = 1;
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kTransA, &transposed, 4), 0);
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kAScaleMode, &a_mode, 4), 0);
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kBScaleMode, &b_mode, 4), 0);
    float* const a_scale = on_a_scales.data() + scale_offset;
    float* const b_scale = on_b_scales.data();
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kAScale, &a_scale, 8), 0);
    CHECK_EQUAL(cublasLtMatmulDescSetAttribute(operation, kBScale, &b_scale, 8), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[0], a_type, static_cast<uint64_t>(k), static_cast<uint64_t>(m), ld), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[1], b_type, static_cast<uint64_t>(k), static_cast<uint64_t>(n), ld), 0);
    CHECK_EQUAL(cublasLtMatrixLayoutCreate(&layouts[2], d_type, static_cast<uint64_t>(m), static_cast<uint64_t>(n), m), 0);
    const float alpha = 1.0f;
    const float beta = 0.0f;
    const int status = cublasLtMatmul(lt, operation, &alpha, on_a.data() + offset, layouts[0], on_b.data(), layouts[1],
                                      &beta, on_d.data(), layouts[2], on_d.data(), layouts[2], nullptr, nullptr, 0, nullptr);
    if (status == 0 && result != nullptr) {
      *result = from(on_d.values(), d_type);
    }
    CHECK_EQUAL(cublasLtDestroy(lt), 0);
    return status;
  }

  int status() const {
    const size_t bytes = static_cast<size_t>(ld * (m + n)) + 16;
    const std::vector<float> scales(64, 1.0f);
    return run(std::vector<unsigned char>(bytes, 0), std::vector<unsigned char>(bytes, 0), scales, scales, nullptr);
  }
};

int64_t quarter(int64_t i) {
  return (i + 3) / 4 * 4;
}

}  // namespace

/* 288 is two blocks of 128 and a part of a third; the scales are powers of two, so that sums stay exact. */
MU_TEST(emulated_blas, lt_multiplies_fp8_with_scales_of_blocks) {
  const Capability hopper("90");
  for (const auto& [a_mode, b_mode] : {std::pair<int, int>{kVectors, kVectors}, {kSquares, kVectors}, {kVectors, kSquares}}) {
    Fp8Product p;
    p.b_type = kE5M2;
    p.a_mode = a_mode;
    p.b_mode = b_mode;
    p.m = 144;
    p.n = 132;
    p.k = 288;
    p.ld = 288;
    const int64_t blocks = 3;
    const std::vector<float> a = numbers(static_cast<size_t>(p.ld * p.m), 1);
    const std::vector<float> b = numbers(static_cast<size_t>(p.ld * p.n), 2);
    const auto scales = [&](int64_t outer, uint32_t seed) {
      std::mt19937 random(seed);
      std::vector<float> all(static_cast<size_t>(outer * quarter(blocks)));
      for (float& one : all) {
        one = std::ldexp(1.0f, static_cast<int>(random() % 5) - 2);
      }
      return all;
    };
    const std::vector<float> a_scales = scales(p.m, 3);
    const std::vector<float> b_scales = scales(p.n, 4);
    const auto scale = [&](int mode, const std::vector<float>& all, int64_t outer, int64_t i, int64_t l) {
      const int64_t block = l / 128;
      return static_cast<double>(all[static_cast<size_t>(mode == kVectors ? i + block * outer : block + i / 128 * quarter(blocks))]);
    };
    std::vector<float> got;
    CHECK_EQUAL(p.run(as(a, p.a_type), as(b, p.b_type), a_scales, b_scales, &got), 0);
    const std::vector<float> b_rounded = from(as(b, p.b_type), p.b_type);
    for (int64_t i = 0; i < p.m; ++i) {
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = 0.0;
        for (int64_t l = 0; l < p.k; ++l) {
          sum += scale(a_mode, a_scales, p.m, i, l) * static_cast<double>(a[static_cast<size_t>(l + i * p.ld)]) *
                 scale(b_mode, b_scales, p.n, j, l) * static_cast<double>(b_rounded[static_cast<size_t>(l + j * p.ld)]);
        }
        CHECK_EQUAL(static_cast<double>(got[static_cast<size_t>(i + j * p.m)]), sum);
      }
    }
  }
}

/* cuBLAS documentation, "Narrow Precision Data Types Usage" and "cublasLtMatmul()". */
MU_TEST(emulated_blas, lt_takes_fp8_as_the_gpu_does) {
  struct Wanted {
    const char* capability;
    int scalar;
    int blocks;
  };
  for (const Wanted& wanted : {Wanted{"80", 15, 15}, Wanted{"86", 15, 15}, Wanted{"89", 0, 15}, Wanted{"90", 0, 0},
                               Wanted{"100", 0, 15}, Wanted{"120", 0, 15}}) {
    const test::Scope scope(wanted.capability);
    const Capability capability(wanted.capability);
    Fp8Product p;
    CHECK_EQUAL(p.status(), wanted.scalar);
    p.a_mode = kVectors;
    p.b_mode = kVectors;
    CHECK_EQUAL(p.status(), wanted.blocks);
    p.a_mode = kSquares;
    CHECK_EQUAL(p.status(), wanted.blocks);
    p.b_mode = kSquares;
    CHECK_EQUAL(p.status(), 15);
    p.b_mode = kScalar;
    CHECK_EQUAL(p.status(), 15);
  }
  const Capability hopper("90");
  const auto refused = [](int status, void (*spoil)(Fp8Product&)) {
    Fp8Product p;
    spoil(p);
    CHECK_EQUAL(p.status(), status);
  };
  refused(15, [](Fp8Product& p) { p.a_type = kE5M2; p.b_type = kE5M2; });
  refused(0, [](Fp8Product& p) { p.a_type = kE5M2; p.d_type = kBF16; });
  refused(15, [](Fp8Product& p) { p.b_type = kBF16; });
  refused(15, [](Fp8Product& p) { p.k = 24; });
  refused(15, [](Fp8Product& p) { p.ld = 40; });
  refused(15, [](Fp8Product& p) { p.m = 12; p.d_type = kBF16; });
  refused(0, [](Fp8Product& p) { p.m = 12; });
  refused(0, [](Fp8Product& p) { p.n = 7; });
  refused(15, [](Fp8Product& p) { p.n = 6; p.a_mode = kVectors; p.b_mode = kVectors; });
  refused(15, [](Fp8Product& p) { p.offset = 8; });
  refused(7, [](Fp8Product& p) { p.scale_offset = 1; p.a_mode = kVectors; p.b_mode = kVectors; });
  refused(0, [](Fp8Product& p) { p.scale_offset = 1; });
}
