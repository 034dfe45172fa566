/* cublas.cpp - libcublas.so.13: the functions that are bound, with cuBLAS's column-major meaning, its types and its refusals. */
#include <cstdio>
#include <cstring>
#include <set>
#include <vector>

#include "machine.h"
#include "matrix.h"
#include "report.h"

namespace {

using namespace muonium::emulator;

constexpr int kSuccess = 0;
constexpr int kNotInitialized = 1;
constexpr int kInvalidValue = 7;
constexpr int kExecutionFailed = 13;
constexpr int kNotSupported = 15;

constexpr int kCompute32F = 68;
constexpr int kCompute32FPedantic = 69;
constexpr int kComputeFast16F = 74;
constexpr int kComputeFast16BF = 75;
constexpr int kComputeFastTf32 = 77;
constexpr int kComputeEmulated = 78;

struct Handle {
  int device = 0;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
  int math_mode = 0;
  int pointer_mode = 0;
  int atomics_mode = 0;
};

std::set<Handle*>& handles() {
  static std::set<Handle*>* const all = new std::set<Handle*>;
  return *all;
}

/* alpha or beta: the value when the host gives it, else where the device will find it. */
struct Scalar {
  float value;
  const float* on_device;

  float get() const { return on_device != nullptr ? *on_device : value; }
};

Scalar scalar(const Handle& handle, const void* given) {
  const float* p = static_cast<const float*>(given);
  return handle.pointer_mode == 1 ? Scalar{0.0f, p} : Scalar{*p, nullptr};
}

template <class Body>
int entered(const char* function, Handle* handle, Body body) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const int failure = take_failure(function);
  if (failure != 0) {
    return failure;
  }
  if (handles().count(handle) == 0) {
    return kNotInitialized;
  }
  if (fault_of(handle->device) != cudaSuccess) {
    return kExecutionFailed;
  }
  return body(*handle);
}

int put(Handle& handle, std::function<void()> work) {
  if (handle.workspace == nullptr) {
    take_failure("cublas without a workspace of the caller");
  }
  return enqueue(handle.stream, std::move(work)) == cudaSuccess ? kSuccess : kExecutionFailed;
}

/* At execution: an operand outside the device's live memory is a fault. */
bool reachable(const char* function, int device, const void* data, size_t bytes) {
  if (bytes == 0 || is_live(data, bytes) || is_pinned(data, bytes) ||
      (may_use_host_pointers() && device_of(data) < 0)) {
    return true;
  }
  std::fprintf(stderr, "emulator: %s was given %p, where the device's memory does not have %zu bytes\n", function, data,
               bytes);
  set_fault(device, cudaErrorIllegalAddress);
  return false;
}

void run_product(const char* function, int device, Product product, const Scalar& alpha, const Scalar& beta) {
  for (const Scalar* one : {&alpha, &beta}) {
    if (one->on_device != nullptr && !reachable(function, device, one->on_device, sizeof(float))) {
      return;
    }
  }
  product.alpha = alpha.get();
  product.beta = beta.get();
  product.d_scale = 1.0f;
  product.absmax = nullptr;
  product.c = product.d;
  for (const Matrix* one : {&product.a, &product.b, &product.d}) {
    if (!reachable(function, device, one->data, span_of(*one))) {
      return;
    }
  }
  if (overlap(product.a, product.d) || overlap(product.b, product.d)) {
    report("%s: the result overlaps an operand", function);
  }
  multiply(product);
}

bool is_operation(int operation) {
  return operation >= 0 && operation <= 2;
}

struct Shape {
  int transa;
  int transb;
  int64_t m;
  int64_t n;
  int64_t k;
  int a_type;
  int64_t lda;
  int b_type;
  int64_t ldb;
  int c_type;
  int64_t ldc;

  Product on(const void* a, const void* b, void* c) const {
    Product product = {};
    product.transpose_a = transa != 0;
    product.transpose_b = transb != 0;
    product.a = Matrix{a, a_type, transa != 0 ? k : m, transa != 0 ? m : k, lda};
    product.b = Matrix{b, b_type, transb != 0 ? n : k, transb != 0 ? k : n, ldb};
    product.d = Matrix{c, c_type, m, n, ldc};
    return product;
  }
};

int check_shape(const Shape& s, const void* alpha, const void* beta, int compute) {
  const auto rows = [](int64_t x) { return x > 1 ? x : 1; };
  if (!is_operation(s.transa) || !is_operation(s.transb) || s.m < 0 || s.n < 0 || s.k < 0 ||
      s.lda < rows(s.transa != 0 ? s.k : s.m) || s.ldb < rows(s.transb != 0 ? s.n : s.k) || s.ldc < rows(s.m) ||
      alpha == nullptr || beta == nullptr) {
    return kInvalidValue;
  }
  if (compute != kCompute32F && compute != kCompute32FPedantic && compute != kComputeFast16F &&
      compute != kComputeFast16BF && compute != kComputeFastTf32 && compute != kComputeEmulated) {
    return kNotSupported;
  }
  const bool known = s.a_type == s.b_type && (s.a_type == kF32   ? s.c_type == kF32
                                              : s.a_type == kBF16 ? s.c_type == kBF16 || s.c_type == kF32
                                              : s.a_type == kF16  ? s.c_type == kF16 || s.c_type == kF32
                                                                  : false);
  if (!known || (s.a_type != kF32 && compute != kCompute32F && compute != kCompute32FPedantic)) {
    return kNotSupported;
  }
  return kSuccess;
}

int gemm(const char* function, Handle* handle, const Shape& shape, const void* alpha, const void* a, int64_t stride_a,
         const void* b, int64_t stride_b, const void* beta, void* c, int64_t stride_c, int64_t count, int compute) {
  return entered(function, handle, [&](Handle& h) {
    const int checked = check_shape(shape, alpha, beta, compute);
    if (checked != kSuccess || count < 0) {
      return checked != kSuccess ? checked : kInvalidValue;
    }
    if (shape.m == 0 || shape.n == 0 || count == 0) {
      return kSuccess;
    }
    if (a == nullptr || b == nullptr || c == nullptr) {
      return kInvalidValue;
    }
    const Scalar by = scalar(h, alpha);
    const Scalar plus = scalar(h, beta);
    return put(h, [=, device = h.device] {
      for (int64_t i = 0; i < count; ++i) {
        const auto at = [&](const void* base, int64_t stride, int type) {
          return static_cast<const char*>(base) + i * stride * static_cast<int64_t>(size_of(type));
        };
        run_product(function, device,
                    shape.on(at(a, stride_a, shape.a_type), at(b, stride_b, shape.b_type),
                             const_cast<char*>(at(c, stride_c, shape.c_type))),
                    by, plus);
      }
    });
  });
}

int gemm_of_pointers(const char* function, Handle* handle, const Shape& shape, const void* alpha,
                     const void* const* a, const void* const* b, const void* beta, void* const* c, int64_t count,
                     int compute) {
  return entered(function, handle, [&](Handle& h) {
    const int checked = check_shape(shape, alpha, beta, compute);
    if (checked != kSuccess || count < 0) {
      return checked != kSuccess ? checked : kInvalidValue;
    }
    if (shape.m == 0 || shape.n == 0 || count == 0) {
      return kSuccess;
    }
    const Scalar by = scalar(h, alpha);
    const Scalar plus = scalar(h, beta);
    return put(h, [=, device = h.device] {
      const size_t bytes = static_cast<size_t>(count) * sizeof(void*);
      for (const void* array : {static_cast<const void*>(a), static_cast<const void*>(b), static_cast<const void*>(c)}) {
        if (!reachable(function, device, array, bytes)) {
          return;
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        run_product(function, device, shape.on(a[i], b[i], c[i]), by, plus);
      }
    });
  });
}

/* C's triangle <- alpha op(A) op(A)^T + beta C; the other triangle is not touched. */
int syrk(const char* function, Handle* handle, int uplo, int trans, int64_t n, int64_t k, const float* alpha,
         const float* a, int64_t lda, const float* beta, float* c, int64_t ldc) {
  return entered(function, handle, [&](Handle& h) {
    const int64_t rows = trans != 0 ? k : n;
    if ((uplo != 0 && uplo != 1) || !is_operation(trans) || n < 0 || k < 0 || lda < (rows > 1 ? rows : 1) ||
        ldc < (n > 1 ? n : 1) || alpha == nullptr || beta == nullptr) {
      return kInvalidValue;
    }
    if (n == 0) {
      return kSuccess;
    }
    const Scalar by = scalar(h, alpha);
    const Scalar plus = scalar(h, beta);
    return put(h, [=, device = h.device] {
      const Matrix result = {c, kF32, n, n, ldc};
      const Matrix operand = {a, kF32, rows, trans != 0 ? n : k, lda};
      if (!reachable(function, device, c, span_of(result)) || !reachable(function, device, a, span_of(operand))) {
        return;
      }
      if (overlap(operand, result)) {
        report("%s: the result overlaps an operand", function);
      }
      std::vector<float> full(static_cast<size_t>(n * n));
      Product product = {};
      product.transpose_a = trans != 0;
      product.transpose_b = trans == 0;
      product.alpha = by.get();
      product.a = operand;
      product.b = operand;
      product.d = Matrix{full.data(), kF32, n, n, n};
      product.d_scale = 1.0f;
      multiply(product);
      const float keep = plus.get();
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = uplo == 0 ? j : 0; i < (uplo == 0 ? n : j + 1); ++i) {
          float& to = c[i + j * ldc];
          to = full[static_cast<size_t>(i + j * n)] + (keep == 0.0f ? 0.0f : keep * to);
        }
      }
    });
  });
}

/* C <- alpha A B + beta C (left) or alpha B A + beta C, with A symmetric and only its triangle read. */
int symm(const char* function, Handle* handle, int side, int uplo, int64_t m, int64_t n, const float* alpha,
         const float* a, int64_t lda, const float* b, int64_t ldb, const float* beta, float* c, int64_t ldc) {
  return entered(function, handle, [&](Handle& h) {
    const int64_t order = side == 0 ? m : n;
    if ((side != 0 && side != 1) || (uplo != 0 && uplo != 1) || m < 0 || n < 0 || lda < (order > 1 ? order : 1) ||
        ldb < (m > 1 ? m : 1) || ldc < (m > 1 ? m : 1) || alpha == nullptr || beta == nullptr) {
      return kInvalidValue;
    }
    if (m == 0 || n == 0) {
      return kSuccess;
    }
    const Scalar by = scalar(h, alpha);
    const Scalar plus = scalar(h, beta);
    return put(h, [=, device = h.device] {
      if (!reachable(function, device, a, span_of(Matrix{a, kF32, order, order, lda}))) {
        return;
      }
      std::vector<float> full(static_cast<size_t>(order * order));
      for (int64_t j = 0; j < order; ++j) {
        for (int64_t i = 0; i < order; ++i) {
          const bool stored = uplo == 0 ? i >= j : i <= j;
          full[static_cast<size_t>(i + j * order)] = stored ? a[i + j * lda] : a[j + i * lda];
        }
      }
      Product product = {};
      const Matrix symmetric = {full.data(), kF32, order, order, order};
      const Matrix other = {b, kF32, m, n, ldb};
      product.a = side == 0 ? symmetric : other;
      product.b = side == 0 ? other : symmetric;
      product.d = Matrix{c, kF32, m, n, ldc};
      product.c = product.d;
      product.alpha = by.get();
      product.beta = plus.get();
      product.d_scale = 1.0f;
      if (!reachable(function, device, b, span_of(other)) || !reachable(function, device, c, span_of(product.d))) {
        return;
      }
      if (overlap(Matrix{a, kF32, order, order, lda}, product.d) || overlap(other, product.d)) {
        report("%s: the result overlaps an operand", function);
      }
      multiply(product);
    });
  });
}

template <class Value>
int set_mode(const char* function, Handle* handle, Value Handle::*field, Value value, bool valid) {
  return entered(function, handle, [&](Handle& h) {
    if (!valid) {
      return kInvalidValue;
    }
    h.*field = value;
    return kSuccess;
  });
}

template <class Value>
int get_mode(const char* function, Handle* handle, Value Handle::*field, Value* value) {
  return entered(function, handle, [&](Handle& h) {
    if (value == nullptr) {
      return kInvalidValue;
    }
    *value = h.*field;
    return kSuccess;
  });
}

struct Named {
  int status;
  const char* name;
  const char* text;
};

constexpr Named kStatuses[] = {
    {0, "CUBLAS_STATUS_SUCCESS", "success"},
    {1, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
    {3, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
    {7, "CUBLAS_STATUS_INVALID_VALUE", "an unsupported value or parameter was passed to the function"},
    {8, "CUBLAS_STATUS_ARCH_MISMATCH", "the function requires a feature absent from the device architecture"},
    {11, "CUBLAS_STATUS_MAPPING_ERROR", "an access to GPU memory space failed"},
    {13, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU program failed to execute"},
    {14, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
    {15, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality requested is not supported"},
    {16, "CUBLAS_STATUS_LICENSE_ERROR", "the functionality requested requires some license"},
};

}  // namespace

#define MU_CUBLAS extern "C" __attribute__((visibility("default")))

MU_CUBLAS int cublasCreate_v2(Handle** handle) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const int failure = take_failure("cublasCreate_v2");
  if (failure != 0) {
    return failure;
  }
  if (handle == nullptr) {
    return kInvalidValue;
  }
  if (enter("cublasCreate_v2", Needs::kDevice) != cudaSuccess) {
    return kNotInitialized;
  }
  *handle = new Handle;
  (*handle)->device = current_device();
  handles().insert(*handle);
  return kSuccess;
}

MU_CUBLAS int cublasDestroy_v2(Handle* handle) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  if (handles().erase(handle) == 0) {
    return kNotInitialized;
  }
  delete handle;
  return kSuccess;
}

MU_CUBLAS int cublasGetVersion_v2(Handle* handle, int* version) {
  return entered("cublasGetVersion_v2", handle, [&](Handle&) {
    if (version == nullptr) {
      return kInvalidValue;
    }
    *version = 130000;
    return kSuccess;
  });
}

MU_CUBLAS int cublasGetProperty(int property, int* value) {
  if (property < 0 || property > 2 || value == nullptr) {
    return kInvalidValue;
  }
  *value = property == 0 ? 13 : 0;
  return kSuccess;
}

MU_CUBLAS size_t cublasGetCudartVersion(void) {
  return 13000;
}

MU_CUBLAS const char* cublasGetStatusName(int status) {
  for (const Named& one : kStatuses) {
    if (one.status == status) {
      return one.name;
    }
  }
  return "unknown status";
}

MU_CUBLAS const char* cublasGetStatusString(int status) {
  for (const Named& one : kStatuses) {
    if (one.status == status) {
      return one.text;
    }
  }
  return "unknown status";
}

MU_CUBLAS int cublasSetStream_v2(Handle* handle, cudaStream_t stream) {
  return entered("cublasSetStream_v2", handle, [&](Handle& h) {
    if (stream_of(stream) == nullptr) {
      return kInvalidValue;
    }
    h.stream = stream;
    /* As the real one: the caller's workspace is forgotten. */
    h.workspace = nullptr;
    h.workspace_bytes = 0;
    return kSuccess;
  });
}

MU_CUBLAS int cublasGetStream_v2(Handle* handle, cudaStream_t* stream) {
  return get_mode("cublasGetStream_v2", handle, &Handle::stream, stream);
}

MU_CUBLAS int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
  return entered("cublasSetWorkspace_v2", handle, [&](Handle& h) {
    if (workspace != nullptr && (reinterpret_cast<uintptr_t>(workspace) % 256 != 0 || !is_live(workspace, bytes))) {
      return kInvalidValue;
    }
    h.workspace = workspace;
    h.workspace_bytes = bytes;
    return kSuccess;
  });
}

MU_CUBLAS int cublasSetMathMode(Handle* handle, int mode) {
  return set_mode("cublasSetMathMode", handle, &Handle::math_mode, mode, (mode & ~0x17) == 0);
}

MU_CUBLAS int cublasGetMathMode(Handle* handle, int* mode) {
  return get_mode("cublasGetMathMode", handle, &Handle::math_mode, mode);
}

MU_CUBLAS int cublasSetPointerMode_v2(Handle* handle, int mode) {
  return set_mode("cublasSetPointerMode_v2", handle, &Handle::pointer_mode, mode, mode == 0 || mode == 1);
}

MU_CUBLAS int cublasGetPointerMode_v2(Handle* handle, int* mode) {
  return get_mode("cublasGetPointerMode_v2", handle, &Handle::pointer_mode, mode);
}

MU_CUBLAS int cublasSetAtomicsMode(Handle* handle, int mode) {
  return set_mode("cublasSetAtomicsMode", handle, &Handle::atomics_mode, mode, mode == 0 || mode == 1);
}

MU_CUBLAS int cublasGetAtomicsMode(Handle* handle, int* mode) {
  return get_mode("cublasGetAtomicsMode", handle, &Handle::atomics_mode, mode);
}

/* Each function twice: with the sizes as int, and as int64_t under a name that ends in _64. */
#define MU_GEMMS(suffix, Int)                                                                                         \
  MU_CUBLAS int cublasGemmEx##suffix(Handle* handle, int transa, int transb, Int m, Int n, Int k, const void* alpha,   \
                                     const void* a, int a_type, Int lda, const void* b, int b_type, Int ldb,          \
                                     const void* beta, void* c, int c_type, Int ldc, int compute, int) {              \
    return gemm("cublasGemmEx" #suffix, handle, Shape{transa, transb, m, n, k, a_type, lda, b_type, ldb, c_type, ldc}, \
                alpha, a, 0, b, 0, beta, c, 0, 1, compute);                                                           \
  }                                                                                                                   \
  MU_CUBLAS int cublasGemmStridedBatchedEx##suffix(                                                                   \
      Handle* handle, int transa, int transb, Int m, Int n, Int k, const void* alpha, const void* a, int a_type,      \
      Int lda, long long stride_a, const void* b, int b_type, Int ldb, long long stride_b, const void* beta, void* c, \
      int c_type, Int ldc, long long stride_c, Int count, int compute, int) {                                         \
    return gemm("cublasGemmStridedBatchedEx" #suffix, handle,                                                         \
                Shape{transa, transb, m, n, k, a_type, lda, b_type, ldb, c_type, ldc}, alpha, a, stride_a, b,         \
                stride_b, beta, c, stride_c, count, compute);                                                         \
  }                                                                                                                   \
  MU_CUBLAS int cublasGemmBatchedEx##suffix(Handle* handle, int transa, int transb, Int m, Int n, Int k,               \
                                            const void* alpha, const void* const a[], int a_type, Int lda,            \
                                            const void* const b[], int b_type, Int ldb, const void* beta,             \
                                            void* const c[], int c_type, Int ldc, Int count, int compute, int) {      \
    return gemm_of_pointers("cublasGemmBatchedEx" #suffix, handle,                                                    \
                            Shape{transa, transb, m, n, k, a_type, lda, b_type, ldb, c_type, ldc}, alpha, a, b, beta, \
                            c, count, compute);                                                                       \
  }                                                                                                                   \
  MU_CUBLAS int cublasSgemm_v2##suffix(Handle* handle, int transa, int transb, Int m, Int n, Int k,                    \
                                       const float* alpha, const float* a, Int lda, const float* b, Int ldb,          \
                                       const float* beta, float* c, Int ldc) {                                        \
    return gemm("cublasSgemm_v2" #suffix, handle, Shape{transa, transb, m, n, k, kF32, lda, kF32, ldb, kF32, ldc},     \
                alpha, a, 0, b, 0, beta, c, 0, 1, kCompute32F);                                                       \
  }                                                                                                                   \
  MU_CUBLAS int cublasSgemmStridedBatched##suffix(                                                                    \
      Handle* handle, int transa, int transb, Int m, Int n, Int k, const float* alpha, const float* a, Int lda,       \
      long long stride_a, const float* b, Int ldb, long long stride_b, const float* beta, float* c, Int ldc,          \
      long long stride_c, Int count) {                                                                                \
    return gemm("cublasSgemmStridedBatched" #suffix, handle,                                                          \
                Shape{transa, transb, m, n, k, kF32, lda, kF32, ldb, kF32, ldc}, alpha, a, stride_a, b, stride_b,     \
                beta, c, stride_c, count, kCompute32F);                                                               \
  }                                                                                                                   \
  MU_CUBLAS int cublasSsyrk_v2##suffix(Handle* handle, int uplo, int trans, Int n, Int k, const float* alpha,          \
                                       const float* a, Int lda, const float* beta, float* c, Int ldc) {               \
    return syrk("cublasSsyrk_v2" #suffix, handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc);                     \
  }                                                                                                                   \
  MU_CUBLAS int cublasSsymm_v2##suffix(Handle* handle, int side, int uplo, Int m, Int n, const float* alpha,           \
                                       const float* a, Int lda, const float* b, Int ldb, const float* beta, float* c, \
                                       Int ldc) {                                                                     \
    return symm("cublasSsymm_v2" #suffix, handle, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc);              \
  }

MU_GEMMS(, int)
MU_GEMMS(_64, int64_t)
