#include "abi/arguments.h"

#include "failure.h"
#include "math/format.h"

namespace muonium {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 60;

}  // namespace

bool Arguments::context(const mu_context* context) const {
  return holds(context != nullptr, "context is NULL; open one with mu_context_create");
}

bool Arguments::type(mu_type type, const char* name) const {
  if (type == MU_F32 || type == MU_BF16) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %d, not MU_F32 (0) or MU_BF16 (1)", function_, name, static_cast<int>(type));
  return false;
}

bool Arguments::block_format(mu_format format, const char* name) const {
  if (format == MU_FORMAT_INT8_LINEAR || format == MU_FORMAT_INT8_DYNAMIC_SIGNED ||
      format == MU_FORMAT_INT8_DYNAMIC_UNSIGNED || format == MU_FORMAT_FP8_E4M3 || format == MU_FORMAT_FP8_E5M2) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT,
       "%s: %s is %d, not a block format: INT8_LINEAR (1), INT8_DYNAMIC_SIGNED (2), INT8_DYNAMIC_UNSIGNED (3), "
       "FP8_E4M3 (4) or FP8_E5M2 (5)",
       function_, name, static_cast<int>(format));
  return false;
}

bool Arguments::momentum_format(mu_format format, const char* name) const {
  if (format == MU_FORMAT_F32 || format == MU_FORMAT_INT8_LINEAR || format == MU_FORMAT_INT8_DYNAMIC_SIGNED) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT,
       "%s: %s is %d, not F32 (0), INT8_LINEAR (1) or INT8_DYNAMIC_SIGNED (2): what it stores has a sign", function_, name,
       static_cast<int>(format));
  return false;
}

bool Arguments::second_moment_format(mu_format format, const char* name) const {
  if (format == MU_FORMAT_F32 || format == MU_FORMAT_INT8_DYNAMIC_UNSIGNED) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %d, not F32 (0) or INT8_DYNAMIC_UNSIGNED (3): a linear v is unstable",
       function_, name, static_cast<int>(format));
  return false;
}

bool Arguments::adamw_params(const mu_adamw_params& params) const {
  return finite(params.lr, "lr") && within(params.beta1, 0.0, 1.0, "beta1") && within(params.beta2, 0.0, 1.0, "beta2") &&
         finite(params.eps, "eps") && finite(params.weight_decay, "weight_decay") &&
         positive(params.bias_correction1, "bias_correction1") &&
         positive(params.bias_correction2, "bias_correction2") && finite(params.gradient_scale, "gradient_scale");
}

bool Arguments::pointer(const void* pointer, std::size_t alignment, const char* name) const {
  if (pointer == nullptr) {
    fail(MU_INVALID_ARGUMENT, "%s: %s is NULL", function_, name);
    return false;
  }
  if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
    fail(MU_INVALID_ARGUMENT, "%s: %s is at %p, which is not aligned to its elements of %zu bytes", function_, name,
         pointer, alignment);
    return false;
  }
  return true;
}

bool Arguments::array(const void* pointer, mu_type type, const char* name) const {
  return this->pointer(pointer, type == MU_BF16 ? 2 : 4, name);
}

bool Arguments::floats(const void* pointer, const char* name) const {
  return this->pointer(pointer, 4, name);
}

bool Arguments::state(mu_format format, const void* codes, const float* scales, const char* name,
                      const char* scales_name) const {
  if (format == MU_FORMAT_F32) {
    return floats(codes, name);
  }
  return pointer(codes, 1, name) && floats(scales, scales_name);
}

bool Arguments::range(int64_t begin, int64_t end, const char* begin_name, const char* end_name) const {
  if (begin >= 0 && begin <= end) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: the range %s %lld, %s %lld is not 0 <= %s <= %s", function_, begin_name,
       static_cast<long long>(begin), end_name, static_cast<long long>(end), begin_name, end_name);
  return false;
}

bool Arguments::blocks(int64_t block, int64_t begin, int64_t end) const {
  if (block < kMinBlock || block > kMaxBlock || (block & (block - 1)) != 0) {
    fail(MU_INVALID_ARGUMENT, "%s: block is %lld, not a power of two from 64 to 2048", function_,
         static_cast<long long>(block));
    return false;
  }
  if (begin < end && begin % block != 0) {
    fail(MU_INVALID_ARGUMENT, "%s: begin is %lld, not a multiple of block %lld", function_,
         static_cast<long long>(begin), static_cast<long long>(block));
    return false;
  }
  return true;
}

bool Arguments::not_negative(int64_t value, const char* name) const {
  if (value >= 0) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %lld, not 0 or more", function_, name, static_cast<long long>(value));
  return false;
}

bool Arguments::at_least(int64_t value, int64_t least, const char* name, const char* least_name) const {
  if (value >= least) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %lld, less than %s %lld", function_, name, static_cast<long long>(value),
       least_name, static_cast<long long>(least));
  return false;
}

bool Arguments::extent(const char* names, int64_t a, int64_t b, int64_t c) const {
  int64_t product = 0;
  const bool empty = a == 0 || b == 0 || c == 0;
  if (empty || (!__builtin_mul_overflow(a, b, &product) && !__builtin_mul_overflow(product, c, &product) &&
                product <= kMostElements)) {
    return true;
  }
  if (c == 1) {
    fail(MU_INVALID_ARGUMENT, "%s: %s is %lld * %lld, more than the 2^60 elements that an array can have", function_,
         names, static_cast<long long>(a), static_cast<long long>(b));
  } else {
    fail(MU_INVALID_ARGUMENT, "%s: %s is %lld * %lld * %lld, more than the 2^60 elements that an array can have",
         function_, names, static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c));
  }
  return false;
}

bool Arguments::offset(const char* names, int64_t a, int64_t b) const {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum) && sum <= kMostElements) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %lld + %lld, more than the 2^60 elements that an array can have", function_, names,
       static_cast<long long>(a), static_cast<long long>(b));
  return false;
}

bool Arguments::finite(double value, const char* name) const {
  if (value - value == 0.0) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %g, not finite", function_, name, value);
  return false;
}

bool Arguments::within(double value, double low, double high, const char* name) const {
  if (value >= low && value <= high) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %g, not from %g to %g", function_, name, value, low, high);
  return false;
}

bool Arguments::positive(double value, const char* name) const {
  if (value > 0.0 && value - value == 0.0) {
    return true;
  }
  fail(MU_INVALID_ARGUMENT, "%s: %s is %g, not positive and finite", function_, name, value);
  return false;
}

bool Arguments::holds(bool condition, const char* sentence) const {
  if (!condition) {
    fail(MU_INVALID_ARGUMENT, "%s: %s", function_, sentence);
  }
  return condition;
}

}  // namespace muonium
