/*
 * fp8.h - products of linear layers in FP8, by cublasLt, beside the same in bf16, by cuBLAS; and what it takes to code their
 * operands. Every FP8 product is held to the bf16 one first: two operands of E4M3 are about 4 % off together.
 */
#ifndef MUONIUM_BENCH_CUDA_FP8_H
#define MUONIUM_BENCH_CUDA_FP8_H

#include "bench/cuda/products.h"

namespace bench {

/* Y (rows x outputs) = X (rows x inputs) W^T (outputs x inputs). Extents are multiples of 16. */
struct LinearCase {
  int64_t rows;
  int64_t outputs;
  int64_t inputs;
};

/* cublasLt, opened at run time. Its A is W, its B is X: see CudaLt.java, which says where the rules are from. */
class CublasLt final {
 public:
  CublasLt() {
    void* library = dlopen("libcublasLt.so.13", RTLD_NOW);
    if (library == nullptr) {
      why_ = dlerror();
      return;
    }
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library, "cublasLtCreate"));
    operation_ = reinterpret_cast<Operation>(dlsym(library, "cublasLtMatmulDescCreate"));
    set_ = reinterpret_cast<Set>(dlsym(library, "cublasLtMatmulDescSetAttribute"));
    layout_ = reinterpret_cast<Layout>(dlsym(library, "cublasLtMatrixLayoutCreate"));
    matmul_ = reinterpret_cast<Matmul>(dlsym(library, "cublasLtMatmul"));
    if (create == nullptr || operation_ == nullptr || set_ == nullptr || layout_ == nullptr || matmul_ == nullptr ||
        create(&handle_) != 0) {
      why_ = "libcublasLt.so.13 lacks a function or does not start";
      handle_ = nullptr;
    }
  }

  bool is_there() const { return handle_ != nullptr; }
  const std::string& why() const { return why_; }

  /* A plan lives as long as the program. */
  struct Plan {
    void* operation;
    void* w;
    void* x;
    void* y;
  };

  Plan plan(const LinearCase& is, bool blocks, const float* w_scales, const float* x_scales) const {
    constexpr int kTransA = 3, kAScale = 17, kBScale = 18, kAMode = 31, kBMode = 32;
    constexpr int kE4M3 = 28, kBf16 = 14, kCompute32 = 68, kF32 = 0;
    const int32_t transposed = 1;
    const int32_t vectors = 4;
    const int32_t squares = 5;
    Plan plan = {};
    must_lt(operation_(&plan.operation, kCompute32, kF32), "cublasLtMatmulDescCreate");
    set(plan, kTransA, &transposed, sizeof transposed);
    if (blocks) {
      set(plan, kAMode, &squares, sizeof squares);
      set(plan, kBMode, &vectors, sizeof vectors);
    }
    set(plan, kAScale, &w_scales, sizeof w_scales);
    set(plan, kBScale, &x_scales, sizeof x_scales);
    const auto k = static_cast<uint64_t>(is.inputs);
    must_lt(layout_(&plan.w, kE4M3, k, static_cast<uint64_t>(is.outputs), is.inputs), "cublasLtMatrixLayoutCreate");
    must_lt(layout_(&plan.x, kE4M3, k, static_cast<uint64_t>(is.rows), is.inputs), "cublasLtMatrixLayoutCreate");
    must_lt(layout_(&plan.y, kBf16, static_cast<uint64_t>(is.outputs), static_cast<uint64_t>(is.rows), is.outputs),
            "cublasLtMatrixLayoutCreate");
    return plan;
  }

  /* The status, 15 where the GPU has no such product. */
  int multiply(const Plan& plan, const std::byte* w, const std::byte* x, std::byte* y, cudaStream_t stream) const {
    const float one = 1.0f;
    const float zero = 0.0f;
    return matmul_(handle_, plan.operation, &one, w, plan.w, x, plan.x, &zero, y, plan.y, y, plan.y, nullptr, nullptr, 0,
                   stream);
  }

 private:
  using Operation = int (*)(void**, int, int);
  using Set = int (*)(void*, int, const void*, std::size_t);
  using Layout = int (*)(void**, int, uint64_t, uint64_t, int64_t);
  using Matmul = int (*)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*,
                         void*, void*, const void*, void*, std::size_t, cudaStream_t);

  static void must_lt(int status, const char* what) {
    if (status != 0) {
      stop(what, std::to_string(status).c_str());
    }
  }
  void set(const Plan& plan, int attribute, const void* value, std::size_t bytes) const {
    must_lt(set_(plan.operation, attribute, value, bytes), "cublasLtMatmulDescSetAttribute");
  }

  void* handle_ = nullptr;
  Operation operation_ = nullptr;
  Set set_ = nullptr;
  Layout layout_ = nullptr;
  Matmul matmul_ = nullptr;
  std::string why_;
};

class Linear final {
 public:
  Linear(const Session& session, const LinearCase& is)
      : is_(is), x_(bytes(is.rows * is.inputs, 2)), w_(bytes(is.outputs * is.inputs, 2)), y_(bytes(is.rows * is.outputs, 2)),
        x_codes_(bytes(is.rows * is.inputs, 1)), w_codes_(bytes(is.outputs * is.inputs, 1)),
        x_scales_(bytes(is.rows * blocks() + 4, 4)), w_scales_(bytes(stride() * ((is.outputs + 127) / 128) + 4, 4)) {
    fill(session, x_.as(), MU_BF16, is.rows * is.inputs, 21, 1.0f);
    fill(session, w_.as(), MU_BF16, is.outputs * is.inputs, 22, 1.0f);
  }

  void code_x(const Session& session, bool in_blocks) const {
    must(mu_fp8_operand(session.cuda, MU_FORMAT_FP8_E4M3, in_blocks ? MU_SCALING_VECTORS : MU_SCALING_TENSOR, 0, x_.as(),
                        MU_BF16, is_.inputs, is_.rows, is_.inputs, x_codes_.as(), is_.inputs, is_.rows,
                        x_scales_.as<float>(), is_.rows),
         "mu_fp8_operand");
  }
  void code_w(const Session& session, bool in_blocks) const {
    must(mu_fp8_operand(session.cuda, MU_FORMAT_FP8_E4M3, in_blocks ? MU_SCALING_SQUARES : MU_SCALING_TENSOR, 0, w_.as(),
                        MU_BF16, is_.inputs, is_.outputs, is_.inputs, w_codes_.as(), is_.inputs, is_.outputs,
                        w_scales_.as<float>(), stride()),
         "mu_fp8_operand");
  }

  void in_bf16(const Cublas& cublas) const {
    cublas.multiply(is_.outputs, is_.rows, is_.inputs, w_.as(), x_.as(), y_.as());
  }
  CublasLt::Plan plan(const CublasLt& lt, bool in_blocks) const {
    return lt.plan(is_, in_blocks, w_scales_.as<float>(), x_scales_.as<float>());
  }
  int in_fp8(const Session& session, const CublasLt& lt, const CublasLt::Plan& plan) const {
    return lt.multiply(plan, w_codes_.as(), x_codes_.as(), y_.as(), session.stream);
  }

  std::vector<std::byte> result(const Session& session) const {
    synchronize(session, "linear");
    return y_.copy();
  }
  double operand_bytes() const { return 3.0 * static_cast<double>(is_.rows * is_.inputs); }
  double flops() const {
    return 2.0 * static_cast<double>(is_.rows) * static_cast<double>(is_.outputs) * static_cast<double>(is_.inputs);
  }

 private:
  static std::size_t bytes(int64_t elements, int64_t each) { return static_cast<std::size_t>(elements * each); }
  int64_t blocks() const { return (is_.inputs + 127) / 128; }
  int64_t stride() const { return (blocks() + 3) / 4 * 4; }

  LinearCase is_;
  Memory x_;
  Memory w_;
  Memory y_;
  Memory x_codes_;
  Memory w_codes_;
  Memory x_scales_;
  Memory w_scales_;
};

inline double relative_difference(const std::vector<std::byte>& expected, const std::vector<std::byte>& actual) {
  double difference = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < expected.size(); i += 2) {
    muonium::bf16 a;
    muonium::bf16 b;
    std::memcpy(&a, expected.data() + i, 2);
    std::memcpy(&b, actual.data() + i, 2);
    const double x = static_cast<double>(muonium::to_float(a));
    const double d = static_cast<double>(muonium::to_float(b)) - x;
    difference += d * d;
    size += x * x;
  }
  return std::sqrt(difference / size);
}

inline void bench_linear(Session& session, const Cublas& cublas, const CublasLt& lt, const LinearCase& is,
                         bool in_blocks) {
  const std::string name = std::string("linear.fp8_") + (in_blocks ? "blocks" : "tensor") + ".rows" +
                           std::to_string(is.rows) + ".outputs" + std::to_string(is.outputs) + ".inputs" +
                           std::to_string(is.inputs);
  const Linear linear(session, is);
  linear.in_bf16(cublas);
  const std::vector<std::byte> expected = linear.result(session);
  linear.code_x(session, in_blocks);
  linear.code_w(session, in_blocks);
  const CublasLt::Plan plan = linear.plan(lt, in_blocks);
  const int status = linear.in_fp8(session, lt, plan);
  if (status != 0) {
    Line(name).add("skipped", "cublasLtMatmul has status " + std::to_string(status) + " here").print();
    return;
  }
  checked(session, name, "difference_from_bf16", relative_difference(expected, linear.result(session)), 0.06);
  if (session.settings.check_only) {
    return;
  }
  const Times bf16 = measure(session, [&](int) { linear.in_bf16(cublas); });
  const Times fp8 = measure(session, [&](int) { linear.in_fp8(session, lt, plan); });
  const Times coding = measure(session, [&](int) { linear.code_x(session, in_blocks); });
  Line line(name);
  add_times(line, session, fp8)
      .add("bf16_ms", bf16.median)
      .add("coding_ms", coding.median)
      .figure("tflops", linear.flops() / fp8.median * 1e-9, "TFLOP/s")
      .figure("bf16_tflops", linear.flops() / bf16.median * 1e-9, "TFLOP/s")
      .figure("faster_than_bf16", bf16.median / fp8.median, "times")
      .figure("coding_gbps", linear.operand_bytes() / coding.median * 1e-6, "GB/s");
  line.print();
}

inline void bench_fp8(Session& session) {
  const Cublas cublas(session.stream);
  const CublasLt lt;
  if (!cublas.is_there() || !lt.is_there()) {
    Line("linear.fp8").add("skipped", cublas.is_there() ? lt.why() : cublas.why()).print();
    return;
  }
  const std::vector<LinearCase> full = {
      {8192, 2560, 2560}, {8192, 8960, 2560}, {8192, 2560, 8960}, {8192, 2688, 768}, {8192, 768, 2688}};
  const std::vector<LinearCase> quick = {{144, 160, 272}};
  for (const LinearCase& is : session.settings.quick ? quick : full) {
    for (const bool in_blocks : {false, true}) {
      bench_linear(session, cublas, lt, is, in_blocks);
    }
  }
}

}  // namespace bench

#endif
