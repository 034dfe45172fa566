/*
 * cublaslt.cpp - libcublasLt.so.13: descriptors as bags of attributes, one algorithm, and products in F32, F16, BF16 and FP8
 * with scales of whole matrices and, as Hopper has them, of 128 or 128 x 128 elements. What it does not do it refuses as not
 * supported. The rules of FP8 are those of the cuBLAS documentation, sections "Narrow Precision Data Types Usage" and "cublasLtMatmul()".
 */
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
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

/* The operation's attributes. */
constexpr int kComputeType = 0;
constexpr int kScaleType = 1;
constexpr int kPointerMode = 2;
constexpr int kTransA = 3;
constexpr int kTransB = 4;
constexpr int kTransC = 5;
constexpr int kEpilogue = 7;
constexpr int kAScale = 17;
constexpr int kBScale = 18;
constexpr int kCScale = 19;
constexpr int kDScale = 20;
constexpr int kAbsmaxD = 21;
constexpr int kAScaleMode = 31;
constexpr int kBScaleMode = 32;
constexpr int kFirstOtherScaleMode = 33;
constexpr int kLastScaleMode = 37;
constexpr int kOutScale = 36;

/* Scale modes: the whole matrix, 128 elements along the sum, 128 x 128. */
constexpr int kScalar = 0;
constexpr int kVectors = 4;
constexpr int kSquares = 5;
constexpr int64_t kScaleBlock = 128;

/* The layout's. */
constexpr int kType = 0;
constexpr int kOrder = 1;
constexpr int kRows = 2;
constexpr int kCols = 3;
constexpr int kLd = 4;
constexpr int kBatchCount = 5;
constexpr int kBatchOffset = 6;
constexpr int kBatchMode = 8;

/* The preference's. */
constexpr int kMaxWorkspace = 1;

constexpr uint64_t kWorkspaceWanted = uint64_t{1} << 20;
constexpr uint64_t kAlgorithm = 0x6d756f6e69756d31u;

struct Handle {
  int device;
};

struct Algorithm {
  uint64_t data[8];
};

struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

enum class Kind { kOperation, kLayout, kPreference };

struct Bag {
  Kind kind;
  std::map<int, std::vector<unsigned char>> values;

  template <class T>
  T get(int attribute, T otherwise) const {
    const auto found = values.find(attribute);
    if (found == values.end() || found->second.size() != sizeof(T)) {
      return otherwise;
    }
    T value;
    std::memcpy(&value, found->second.data(), sizeof value);
    return value;
  }

  template <class T>
  void set(int attribute, T value) {
    std::vector<unsigned char> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    values[attribute] = bytes;
  }
};

std::set<Handle*>& handles() {
  static std::set<Handle*>* const all = new std::set<Handle*>;
  return *all;
}

std::set<Bag*>& bags() {
  static std::set<Bag*>* const all = new std::set<Bag*>;
  return *all;
}

bool is_bag(Bag* bag, Kind kind) {
  return bags().count(bag) != 0 && bag->kind == kind;
}

/* How many bytes an attribute has; 0 for one that there is not. */
size_t size_of_attribute(Kind kind, int attribute) {
  if (kind == Kind::kPreference) {
    return attribute == 1 ? 8 : attribute >= 0 && attribute <= 12 ? 4 : 0;
  }
  if (kind == Kind::kLayout) {
    switch (attribute) {
      case kRows:
      case kCols:
      case kLd:
      case kBatchOffset:
      case 7:
        return 8;
      case kType:
      case kOrder:
      case kBatchCount:
      case kBatchMode:
        return 4;
      default:
        return 0;
    }
  }
  switch (attribute) {
    case 8:
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
    case 23:
    case 24:
    case 36:
      return 8;
    case 25:
      return 1;
    default:
      return attribute >= 0 && attribute <= 37 ? 4 : 0;
  }
}

template <class Body>
int entered(const char* function, Body body) {
  const std::lock_guard<std::recursive_mutex> guard(machine().lock);
  const int failure = take_failure(function);
  return failure != 0 ? failure : body();
}

int make(const char* function, Kind kind, Bag** bag, const Bag& made) {
  return entered(function, [&] {
    if (bag == nullptr) {
      return kInvalidValue;
    }
    *bag = new Bag(made);
    (*bag)->kind = kind;
    bags().insert(*bag);
    return kSuccess;
  });
}

int destroy(const char* function, Kind kind, Bag* bag) {
  return entered(function, [&] {
    if (!is_bag(bag, kind)) {
      return kInvalidValue;
    }
    bags().erase(bag);
    delete bag;
    return kSuccess;
  });
}

int set(const char* function, Kind kind, Bag* bag, int attribute, const void* value, size_t bytes) {
  return entered(function, [&] {
    if (!is_bag(bag, kind) || value == nullptr || size_of_attribute(kind, attribute) != bytes || bytes == 0) {
      return kInvalidValue;
    }
    const unsigned char* p = static_cast<const unsigned char*>(value);
    bag->values[attribute].assign(p, p + bytes);
    return kSuccess;
  });
}

int get(const char* function, Kind kind, Bag* bag, int attribute, void* value, size_t bytes, size_t* written) {
  return entered(function, [&] {
    const size_t needed = size_of_attribute(kind, attribute);
    if (!is_bag(bag, kind) || needed == 0) {
      return kInvalidValue;
    }
    if (written != nullptr) {
      *written = needed;
    }
    if (bytes == 0 && value == nullptr) {
      return written != nullptr ? kSuccess : kInvalidValue;
    }
    if (value == nullptr || bytes < needed) {
      return kInvalidValue;
    }
    std::memset(value, 0, needed);
    const auto found = bag->values.find(attribute);
    if (found != bag->values.end()) {
      std::memcpy(value, found->second.data(), needed);
    }
    return kSuccess;
  });
}

/* --- products ------------------------------------------------------------------------------------------------------ */

struct Operand {
  Matrix matrix;
  bool transpose;
  int64_t offset;
};

/* A row-major matrix is its transpose, column-major. */
Operand operand(const Bag& layout, int operation) {
  const bool by_rows = layout.get<int32_t>(kOrder, 0) == 1;
  const int64_t rows = static_cast<int64_t>(layout.get<uint64_t>(kRows, 0));
  const int64_t cols = static_cast<int64_t>(layout.get<uint64_t>(kCols, 0));
  Operand result = {};
  result.matrix = Matrix{nullptr, layout.get<int32_t>(kType, -1), by_rows ? cols : rows, by_rows ? rows : cols,
                         layout.get<int64_t>(kLd, 0)};
  result.transpose = (operation != 0) != by_rows;
  result.offset = layout.get<int64_t>(kBatchOffset, 0) * static_cast<int64_t>(size_of(result.matrix.type));
  return result;
}

bool is_fp8(int type) {
  return type == kE4M3 || type == kE5M2;
}

struct Plan {
  Operand a, b, c, d;
  int64_t batch;
  int a_mode;
  int b_mode;
};

/* Blocks of scales are Hopper's alone, one of the two at least is of vectors, and D is not FP8. */
int refuse_scale_modes(const Bag& operation, const Plan& p, int capability) {
  if (p.a_mode == kScalar && p.b_mode == kScalar) {
    return kSuccess;
  }
  const auto known = [](int mode) { return mode == kVectors || mode == kSquares; };
  const bool combined = known(p.a_mode) && known(p.b_mode) && (p.a_mode == kVectors || p.b_mode == kVectors);
  const bool fours = p.d.matrix.rows % 4 == 0 && p.d.matrix.cols % 4 == 0;
  if (capability != 90 || !combined || !fours || p.batch != 1 || is_fp8(p.d.matrix.type) ||
      operation.get<const float*>(kDScale, nullptr) != nullptr ||
      operation.get<float*>(kAbsmaxD, nullptr) != nullptr) {
    return kNotSupported;
  }
  for (const int scale : {kAScale, kBScale}) {
    const float* const pointer = operation.get<const float*>(scale, nullptr);
    /* The heuristics are asked before there are pointers. */
    if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) {
      return kInvalidValue;
    }
  }
  return kSuccess;
}

int plan(Bag* operation, Bag* a, Bag* b, Bag* c, Bag* d, Plan* planned) {
  if (!is_bag(operation, Kind::kOperation) || !is_bag(a, Kind::kLayout) || !is_bag(b, Kind::kLayout) ||
      !is_bag(c, Kind::kLayout) || !is_bag(d, Kind::kLayout)) {
    return kInvalidValue;
  }
  const int32_t trans_a = operation->get<int32_t>(kTransA, 0);
  const int32_t trans_b = operation->get<int32_t>(kTransB, 0);
  Plan p = {operand(*a, trans_a), operand(*b, trans_b), operand(*c, 0), operand(*d, 0),
            d->get<int32_t>(kBatchCount, 1), kScalar, kScalar};
  for (const Operand* one : {&p.a, &p.b, &p.c, &p.d}) {
    if (one->matrix.rows < 1 || one->matrix.cols < 1 || one->matrix.ld < one->matrix.rows) {
      return kInvalidValue;
    }
  }
  for (Bag* one : {a, b, c}) {
    if (one->get<int32_t>(kBatchCount, 1) != p.batch) {
      return kInvalidValue;
    }
  }
  for (Bag* one : {a, b, c, d}) {
    if (one->get<int32_t>(kOrder, 0) > 1 || one->get<int32_t>(kBatchMode, 0) != 0) {
      return kNotSupported;
    }
  }
  const auto rows_of = [](const Operand& o) { return o.transpose ? o.matrix.cols : o.matrix.rows; };
  const auto cols_of = [](const Operand& o) { return o.transpose ? o.matrix.rows : o.matrix.cols; };
  if (rows_of(p.a) != rows_of(p.d) || cols_of(p.b) != cols_of(p.d) || cols_of(p.a) != rows_of(p.b) ||
      rows_of(p.c) != rows_of(p.d) || cols_of(p.c) != cols_of(p.d) || p.batch < 1) {
    return kInvalidValue;
  }
  const int32_t compute = operation->get<int32_t>(kComputeType, -1);
  if (operation->get<int32_t>(kEpilogue, 1) != 1 || operation->get<int32_t>(kTransC, 0) != 0 ||
      operation->get<int32_t>(kScaleType, -1) != kF32 || operation->get<int32_t>(kPointerMode, 0) > 1 ||
      (compute != 68 && compute != 69 && compute != 77) || p.c.transpose != p.d.transpose) {
    return kNotSupported;
  }
  p.a_mode = operation->get<int32_t>(kAScaleMode, kScalar);
  p.b_mode = operation->get<int32_t>(kBScaleMode, kScalar);
  for (int mode = kFirstOtherScaleMode; mode <= kLastScaleMode; ++mode) {
    if (mode != kOutScale && operation->get<int32_t>(mode, kScalar) != kScalar) {
      return kNotSupported;
    }
  }
  const int at = p.a.matrix.type;
  const int bt = p.b.matrix.type;
  const int ct = p.c.matrix.type;
  const int dt = p.d.matrix.type;
  if (is_fp8(at) || is_fp8(bt)) {
    /*
     * Ada and later; A transposed, B not (Blackwell's data-center GPUs take more); everything in pieces of 16 bytes; never E5M2
     * by E5M2.
     */
    int major = 0;
    int minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current_device());
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, current_device());
    const bool pieces = p.a.matrix.ld % 16 == 0 && p.b.matrix.ld % 16 == 0 && p.a.matrix.rows % 16 == 0 &&
                        p.d.matrix.rows * static_cast<int64_t>(size_of(dt)) % 16 == 0 &&
                        p.c.matrix.ld * static_cast<int64_t>(size_of(ct)) % 16 == 0 &&
                        p.d.matrix.ld * static_cast<int64_t>(size_of(dt)) % 16 == 0;
    if (major * 10 + minor < 89 || !is_fp8(at) || !is_fp8(bt) || (at == kE5M2 && bt == kE5M2) || !p.a.transpose ||
        p.b.transpose || p.d.transpose || !pieces || compute != 68) {
      return kNotSupported;
    }
    if (!(dt == kF32 || dt == kBF16 || dt == kF16 || is_fp8(dt)) || (!is_fp8(dt) && ct != dt) ||
        (is_fp8(dt) && ct != kBF16 && ct != kF16)) {
      return kNotSupported;
    }
    const int refused = refuse_scale_modes(*operation, p, major * 10 + minor);
    if (refused != kSuccess) {
      return refused;
    }
  } else {
    const bool known = at == bt && ct == dt &&
                       (at == kF32 ? dt == kF32 : (at == kBF16 || at == kF16) && (dt == at || dt == kF32));
    if (!known || p.a_mode != kScalar || p.b_mode != kScalar) {
      return kNotSupported;
    }
    if (operation->get<const float*>(kAScale, nullptr) != nullptr ||
        operation->get<const float*>(kBScale, nullptr) != nullptr) {
      return kInvalidValue;
    }
  }
  *planned = p;
  return kSuccess;
}

/* At execution: what is not in live device memory is a fault. */
bool reachable(int device, const void* data, size_t bytes) {
  if (is_live(data, bytes) || is_pinned(data, bytes) || (may_use_host_pointers() && device_of(data) < 0)) {
    return true;
  }
  std::fprintf(stderr, "emulator: cublasLtMatmul was given %p, where the device's memory does not have %zu bytes\n",
               data, bytes);
  set_fault(device, cudaErrorIllegalAddress);
  return false;
}

struct Scales {
  const float* a;
  const float* b;
  const float* c;
  const float* d;
  float* absmax;
  const float* alpha_on_device;
  const float* beta_on_device;
  float alpha;
  float beta;
};

/* Vectors: the outer extent is contiguous; squares: the blocks along the sum are, in columns of a multiple of four. */
BlockScales block_scales(int mode, const float* data, int64_t outer, int64_t depth) {
  const int64_t blocks = (depth + kScaleBlock - 1) / kScaleBlock;
  return mode == kVectors ? BlockScales{data, 1, 1, outer} : BlockScales{data, kScaleBlock, (blocks + 3) / 4 * 4, 1};
}

/* Bytes from the first to the last that are read. */
size_t scale_bytes(int mode, int64_t outer, int64_t depth) {
  if (mode == kScalar) {
    return sizeof(float);
  }
  const int64_t blocks = (depth + kScaleBlock - 1) / kScaleBlock;
  const int64_t count = mode == kVectors ? outer * blocks
                                         : ((outer + kScaleBlock - 1) / kScaleBlock - 1) * ((blocks + 3) / 4 * 4) + blocks;
  return static_cast<size_t>(count) * sizeof(float);
}

void run(int device, const Plan& plan, const Scales& s, const void* a, const void* b, const void* c, void* d) {
  for (const float* one : {s.c, s.d, static_cast<const float*>(s.absmax), s.alpha_on_device, s.beta_on_device}) {
    if (one != nullptr && !reachable(device, one, sizeof(float))) {
      return;
    }
  }
  const int64_t depth = plan.a.matrix.rows;
  if ((s.a != nullptr && !reachable(device, s.a, scale_bytes(plan.a_mode, plan.d.matrix.rows, depth))) ||
      (s.b != nullptr && !reachable(device, s.b, scale_bytes(plan.b_mode, plan.d.matrix.cols, depth)))) {
    return;
  }
  const bool in_blocks = plan.a_mode != kScalar;
  const BlockScales a_blocks = block_scales(plan.a_mode, s.a, plan.d.matrix.rows, depth);
  const BlockScales b_blocks = block_scales(plan.b_mode, s.b, plan.d.matrix.cols, depth);
  const auto factor = [](const float* p) { return p != nullptr ? *p : 1.0f; };
  const float alpha = s.alpha_on_device != nullptr ? *s.alpha_on_device : s.alpha;
  const float beta = s.beta_on_device != nullptr ? *s.beta_on_device : s.beta;
  float absmax = 0.0f;
  for (int64_t i = 0; i < plan.batch; ++i) {
    const auto on = [&](const Operand& operand, const void* base) {
      Matrix matrix = operand.matrix;
      matrix.data = static_cast<const char*>(base) + i * operand.offset;
      return matrix;
    };
    Product product = {};
    product.a = on(plan.a, a);
    product.b = on(plan.b, b);
    product.d = on(plan.d, d);
    product.transpose_a = plan.a.transpose;
    product.transpose_b = plan.b.transpose;
    if (plan.d.transpose) {
      /* D is stored transposed: D^T = op(B)^T op(A)^T. */
      std::swap(product.a, product.b);
      product.transpose_a = !plan.b.transpose;
      product.transpose_b = !plan.a.transpose;
    }
    product.a_scales = in_blocks ? &a_blocks : nullptr;
    product.b_scales = in_blocks ? &b_blocks : nullptr;
    product.alpha = in_blocks ? alpha : alpha * factor(s.a) * factor(s.b);
    product.beta = beta * factor(s.c);
    product.d_scale = factor(s.d);
    float greatest = 0.0f;
    product.absmax = &greatest;
    if (!reachable(device, product.a.data, span_of(product.a)) ||
        !reachable(device, product.b.data, span_of(product.b)) ||
        !reachable(device, product.d.data, span_of(product.d))) {
      return;
    }
    if (product.beta != 0.0f) {
      product.c = on(plan.c, c);
      if (!reachable(device, product.c.data, span_of(product.c))) {
        return;
      }
    }
    if (overlap(product.a, product.d) || overlap(product.b, product.d)) {
      report("cublasLtMatmul: the result overlaps an operand");
    }
    multiply(product);
    absmax = greatest > absmax ? greatest : absmax;
  }
  if (s.absmax != nullptr) {
    *s.absmax = absmax;
  }
}

}  // namespace

#define MU_CUBLASLT extern "C" __attribute__((visibility("default")))

MU_CUBLASLT int cublasLtCreate(Handle** handle) {
  return entered("cublasLtCreate", [&] {
    if (handle == nullptr) {
      return kInvalidValue;
    }
    if (enter("cublasLtCreate", Needs::kDevice) != cudaSuccess) {
      return kNotInitialized;
    }
    *handle = new Handle{current_device()};
    handles().insert(*handle);
    return kSuccess;
  });
}

MU_CUBLASLT int cublasLtDestroy(Handle* handle) {
  return entered("cublasLtDestroy", [&] {
    if (handles().erase(handle) == 0) {
      return kNotInitialized;
    }
    delete handle;
    return kSuccess;
  });
}

MU_CUBLASLT size_t cublasLtGetVersion(void) {
  return 130000;
}

MU_CUBLASLT size_t cublasLtGetCudartVersion(void) {
  return 13000;
}

MU_CUBLASLT const char* cublasLtGetStatusName(int status) {
  switch (status) {
    case 0:
      return "CUBLAS_STATUS_SUCCESS";
    case kNotInitialized:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case kInvalidValue:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case kExecutionFailed:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case kNotSupported:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}

MU_CUBLASLT const char* cublasLtGetStatusString(int status) {
  return cublasLtGetStatusName(status);
}

MU_CUBLASLT int cublasLtMatmulDescCreate(Bag** operation, int compute_type, int scale_type) {
  Bag made = {Kind::kOperation, {}};
  made.set<int32_t>(kComputeType, compute_type);
  made.set<int32_t>(kScaleType, scale_type);
  made.set<int32_t>(kEpilogue, 1);
  return make("cublasLtMatmulDescCreate", Kind::kOperation, operation, made);
}

MU_CUBLASLT int cublasLtMatrixLayoutCreate(Bag** layout, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  if (size_of(type) == 0) {
    return kInvalidValue;
  }
  Bag made = {Kind::kLayout, {}};
  made.set<int32_t>(kType, type);
  made.set<uint64_t>(kRows, rows);
  made.set<uint64_t>(kCols, cols);
  made.set<int64_t>(kLd, ld);
  made.set<int32_t>(kBatchCount, 1);
  return make("cublasLtMatrixLayoutCreate", Kind::kLayout, layout, made);
}

MU_CUBLASLT int cublasLtMatmulPreferenceCreate(Bag** preference) {
  return make("cublasLtMatmulPreferenceCreate", Kind::kPreference, preference, Bag{Kind::kPreference, {}});
}

#define MU_BAG(name, kind)                                                                                       \
  MU_CUBLASLT int cublasLt##name##Destroy(Bag* bag) {                                                            \
    return destroy("cublasLt" #name "Destroy", kind, bag);                                                       \
  }                                                                                                              \
  MU_CUBLASLT int cublasLt##name##SetAttribute(Bag* bag, int attribute, const void* value, size_t bytes) {       \
    return set("cublasLt" #name "SetAttribute", kind, bag, attribute, value, bytes);                             \
  }                                                                                                              \
  MU_CUBLASLT int cublasLt##name##GetAttribute(Bag* bag, int attribute, void* value, size_t bytes,               \
                                               size_t* written) {                                                \
    return get("cublasLt" #name "GetAttribute", kind, bag, attribute, value, bytes, written);                    \
  }

MU_BAG(MatmulDesc, Kind::kOperation)
MU_BAG(MatrixLayout, Kind::kLayout)
MU_BAG(MatmulPreference, Kind::kPreference)

MU_CUBLASLT int cublasLtMatmulAlgoGetHeuristic(Handle* handle, Bag* operation, Bag* a, Bag* b, Bag* c, Bag* d,
                                               Bag* preference, int requested, Heuristic results[], int* returned) {
  return entered("cublasLtMatmulAlgoGetHeuristic", [&] {
    if (handles().count(handle) == 0) {
      return kNotInitialized;
    }
    if (!is_bag(preference, Kind::kPreference) || requested < 1 || results == nullptr || returned == nullptr) {
      return kInvalidValue;
    }
    *returned = 0;
    Plan planned;
    const int status = plan(operation, a, b, c, d, &planned);
    if (status != kSuccess) {
      return status;
    }
    const uint64_t workspace = std::min(kWorkspaceWanted, preference->get<uint64_t>(kMaxWorkspace, 0));
    results[0] = Heuristic{{{kAlgorithm, workspace}}, workspace, kSuccess, 1.0f, {}};
    *returned = 1;
    return kSuccess;
  });
}

MU_CUBLASLT int cublasLtMatmulAlgoCheck(Handle* handle, Bag* operation, Bag* a, Bag* b, Bag* c, Bag* d,
                                        const Algorithm* algorithm, Heuristic* result) {
  return entered("cublasLtMatmulAlgoCheck", [&] {
    if (handles().count(handle) == 0) {
      return kNotInitialized;
    }
    Plan planned;
    const int status = plan(operation, a, b, c, d, &planned);
    if (status != kSuccess || algorithm == nullptr || result == nullptr || algorithm->data[0] != kAlgorithm) {
      return status != kSuccess ? status : kInvalidValue;
    }
    *result = Heuristic{*algorithm, algorithm->data[1], kSuccess, 1.0f, {}};
    return kSuccess;
  });
}

MU_CUBLASLT int cublasLtMatmul(Handle* handle, Bag* operation, const void* alpha, const void* a, Bag* a_layout,
                               const void* b, Bag* b_layout, const void* beta, const void* c, Bag* c_layout, void* d,
                               Bag* d_layout, const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                               cudaStream_t stream) {
  return entered("cublasLtMatmul", [&] {
    if (handles().count(handle) == 0) {
      return kNotInitialized;
    }
    Plan planned;
    const int status = plan(operation, a_layout, b_layout, c_layout, d_layout, &planned);
    if (status != kSuccess) {
      return status;
    }
    if (alpha == nullptr || beta == nullptr || a == nullptr || b == nullptr || d == nullptr) {
      return kInvalidValue;
    }
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
      return kInvalidValue;
    }
    if (algorithm != nullptr && (algorithm->data[0] != kAlgorithm || algorithm->data[1] > workspace_bytes ||
                                 (algorithm->data[1] != 0 && !is_live(workspace, workspace_bytes)))) {
      return kInvalidValue;
    }
    if (is_fp8(planned.a.matrix.type)) {
      if (planned.a_mode != kScalar && (operation->get<const float*>(kAScale, nullptr) == nullptr ||
                                        operation->get<const float*>(kBScale, nullptr) == nullptr)) {
        return kInvalidValue;
      }
      for (const void* p : {a, b, c, static_cast<const void*>(d)}) {
        if (reinterpret_cast<uintptr_t>(p) % 16 != 0) {
          return kNotSupported;
        }
      }
    }
    if (fault_of(handle->device) != cudaSuccess) {
      return kExecutionFailed;
    }
    const bool on_device = operation->get<int32_t>(kPointerMode, 0) == 1;
    const float* alpha_at = static_cast<const float*>(alpha);
    const float* beta_at = static_cast<const float*>(beta);
    const Scales scales = {operation->get<const float*>(kAScale, nullptr), operation->get<const float*>(kBScale, nullptr),
                           operation->get<const float*>(kCScale, nullptr), operation->get<const float*>(kDScale, nullptr),
                           operation->get<float*>(kAbsmaxD, nullptr),      on_device ? alpha_at : nullptr,
                           on_device ? beta_at : nullptr,                  on_device ? 0.0f : *alpha_at,
                           on_device ? 0.0f : *beta_at};
    const int device = handle->device;
    const cudaError_t put = enqueue(stream, [=] { run(device, planned, scales, a, b, c, d); });
    return put == cudaSuccess ? kSuccess : kExecutionFailed;
  });
}
