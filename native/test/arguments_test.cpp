/* arguments_test.cpp - each wrong argument of each function is refused by a sentence that names it, before anything is written. */
#include <cmath>
#include <cstring>
#include <functional>

#include "check.h"
#include "tiers.h"

namespace {

/* Arguments that are all right, as members to spoil one at a time. */
struct Call {
  const mu_context* context = test::oracle();
  mu_format format = MU_FORMAT_INT8_LINEAR;
  mu_format v_format = MU_FORMAT_INT8_DYNAMIC_UNSIGNED;
  int64_t block = 64;
  alignas(8) float numbers[130] = {};
  alignas(8) float out[130] = {};
  int8_t codes[130] = {};
  int8_t v_codes[130] = {};
  float scales[4] = {};
  float v_scales[4] = {};
  double sum = -1.0;
  const void* x = numbers;
  void* target = out;
  void* state = codes;
  float* state_scales = scales;
  void* v = v_codes;
  float* master = nullptr;
  double* sum_out = &sum;
  mu_type x_type = MU_F32;
  mu_type out_type = MU_F32;
  int64_t begin = 0;
  int64_t end = 128;
  int64_t cols = 8;
  int64_t ld = 8;
  float alpha = 1.0f;
  double beta = 0.9;
  mu_adamw_params params = {0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 1.0};
  const mu_adamw_params* params_in = &params;

  Call() {
    for (float& number : numbers) {
      number = 1.0f;
    }
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

using Function = mu_status (*)(Call&);
using Spoil = std::function<void(Call&)>;

mu_status quantize(Call& c) {
  return mu_quantize(c.context, c.format, c.block, c.x, c.x_type, c.state, c.state_scales, c.begin, c.end);
}
mu_status dequantize(Call& c) {
  return mu_dequantize(c.context, c.format, c.block, c.state, c.state_scales, c.target, c.out_type, c.begin, c.end);
}
mu_status sum_squares(Call& c) {
  return mu_sum_squares(c.context, c.x, c.x_type, c.begin, c.end, c.sum_out);
}
mu_status scale(Call& c) {
  return mu_scale(c.context, c.alpha, c.x, c.x_type, c.ld, c.target, c.out_type, c.ld, c.cols, 0, 2);
}
mu_status axpby(Call& c) {
  return mu_axpby(c.context, c.alpha, c.x, c.x_type, c.ld, 1.0f, c.x, c.x_type, c.ld, c.target, c.out_type, c.ld, c.cols,
                  0, 2);
}
mu_status mirror(Call& c) {
  return mu_mirror_upper(c.context, c.target, c.out_type, c.ld, 0, c.cols);
}
mu_status momentum(Call& c) {
  return mu_muon_momentum(c.context, c.format, c.block, c.x, c.x_type, c.alpha, c.state, c.state_scales, c.target,
                          c.out_type, c.beta, 1, c.begin, c.end, c.sum_out);
}
mu_status update(Call& c) {
  return mu_muon_update(c.context, c.target, c.out_type, c.ld, c.master, c.x, c.x_type, c.ld, 0.9f, c.alpha, nullptr,
                        c.cols, 0, 2);
}
mu_status adamw(Call& c) {
  return mu_adamw(c.context, c.params_in, c.block, c.target, c.out_type, c.master, c.x, c.x_type, c.format, c.state,
                  c.state_scales, c.v_format, c.v, c.v_scales, nullptr, c.begin, c.end);
}

/* The call succeeds as it is; spoiled, it is refused by a sentence with all the words, and nothing has changed. */
void refuses(Function function, const Spoil& spoil, std::initializer_list<const char*> words) {
  Call right;
  CHECK_EQUAL(function(right), MU_OK);
  Call wrong;
  spoil(wrong);
  CHECK_EQUAL(function(wrong), MU_INVALID_ARGUMENT);
  const std::string text = mu_last_error();
  for (const char* word : words) {
    const test::Scope scope(text + " lacks '" + word + "'");
    CHECK(text.find(word) != std::string::npos);
  }
  const Call untouched;
  CHECK(std::memcmp(wrong.out, untouched.out, sizeof wrong.out) == 0);
  CHECK(std::memcmp(wrong.codes, untouched.codes, sizeof wrong.codes) == 0);
  CHECK(std::memcmp(wrong.scales, untouched.scales, sizeof wrong.scales) == 0);
  CHECK_EQUAL(wrong.sum, -1.0);
}

void misalign(const void** pointer) {
  *pointer = static_cast<const std::byte*>(*pointer) + 1;
}

}  // namespace

MU_TEST(arguments, contexts) {
  for (const Function function : {quantize, dequantize, sum_squares, scale, axpby, mirror, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.context = nullptr; }, {"context is NULL", "mu_context_create"});
  }
}

MU_TEST(arguments, types) {
  for (const Function function : {quantize, sum_squares, scale, axpby, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.x_type = test::any_number<mu_type>(7); }, {"type is 7", "MU_BF16"});
  }
  for (const Function function : {dequantize, scale, axpby, mirror, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.out_type = test::any_number<mu_type>(-1); }, {"type is -1"});
  }
}

MU_TEST(arguments, pointers) {
  for (const Function function : {quantize, sum_squares, scale, axpby, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.x = nullptr; }, {"is NULL"});
    refuses(function, [](Call& c) { misalign(&c.x); }, {"not aligned", "4 bytes"});
  }
  for (const Function function : {dequantize, scale, axpby, mirror, momentum, update, adamw}) {
    refuses(function, [](Call& c) { c.target = nullptr; }, {"is NULL"});
  }
  for (const Function function : {quantize, dequantize, momentum, adamw}) {
    refuses(function, [](Call& c) { c.state = nullptr; }, {"is NULL"});
    refuses(function, [](Call& c) { c.state_scales = nullptr; }, {"scales is NULL"});
  }
  for (const Function function : {sum_squares, momentum}) {
    refuses(function, [](Call& c) { c.sum_out = nullptr; }, {"sum", "is NULL"});
  }
  refuses(adamw, [](Call& c) { c.params_in = nullptr; }, {"params is NULL"});
  refuses(adamw, [](Call& c) { c.v = nullptr; }, {"mu_adamw: v is NULL"});
}

MU_TEST(arguments, ranges_and_blocks) {
  for (const Function function : {quantize, dequantize, sum_squares, momentum, adamw}) {
    refuses(function, [](Call& c) { c.begin = -64; }, {"begin -64"});
    refuses(function, [](Call& c) { c.begin = 128; c.end = 64; }, {"begin 128", "end 64"});
  }
  for (const Function function : {quantize, dequantize, momentum, adamw}) {
    for (const int64_t block : {int64_t{0}, int64_t{-64}, int64_t{32}, int64_t{96}, int64_t{4096}}) {
      refuses(function, [=](Call& c) { c.block = block; }, {"block is", "power of two from 64 to 2048"});
    }
    refuses(function, [](Call& c) { c.begin = 32; }, {"begin is 32", "multiple of block 64"});
  }
}

MU_TEST(arguments, shapes) {
  for (const Function function : {scale, axpby, update}) {
    refuses(function, [](Call& c) { c.cols = -1; }, {"cols is -1"});
    refuses(function, [](Call& c) { c.ld = 7; }, {"ld is 7", "cols 8"});
  }
  refuses(mirror, [](Call& c) { c.ld = 7; }, {"ld is 7", "row_end 8"});
}

MU_TEST(arguments, formats) {
  for (const Function function : {quantize, dequantize}) {
    refuses(function, [](Call& c) { c.format = MU_FORMAT_F32; }, {"format is 0", "not a block format"});
    refuses(function, [](Call& c) { c.format = test::any_number<mu_format>(6); }, {"format is 6"});
  }
  refuses(momentum, [](Call& c) { c.format = MU_FORMAT_INT8_DYNAMIC_UNSIGNED; }, {"mu_muon_momentum", "has a sign"});
  refuses(adamw, [](Call& c) { c.format = MU_FORMAT_INT8_DYNAMIC_UNSIGNED; }, {"m_format", "has a sign"});
  refuses(momentum, [](Call& c) { c.format = MU_FORMAT_FP8_E4M3; }, {"format is 4"});
  refuses(adamw, [](Call& c) { c.v_format = MU_FORMAT_FP8_E5M2; }, {"v_format is 5"});
  refuses(adamw, [](Call& c) { c.v_format = MU_FORMAT_INT8_LINEAR; }, {"v_format", "unstable"});
  float map[256];
  CHECK_EQUAL(mu_dynamic_map(MU_FORMAT_INT8_LINEAR, map), MU_INVALID_ARGUMENT);
  CHECK_EQUAL(mu_dynamic_map(MU_FORMAT_INT8_DYNAMIC_SIGNED, nullptr), MU_INVALID_ARGUMENT);
}

MU_TEST(arguments, numbers) {
  for (const double beta : {-0.1, 1.1, std::nan("")}) {
    refuses(momentum, [=](Call& c) { c.beta = beta; }, {"beta is", "from 0 to 1"});
    refuses(adamw, [=](Call& c) { c.params.beta1 = beta; }, {"beta1 is"});
    refuses(adamw, [=](Call& c) { c.params.beta2 = beta; }, {"beta2 is"});
  }
  for (const Function function : {momentum, update}) {
    refuses(function, [](Call& c) { c.alpha = std::nanf(""); }, {"not finite"});
    refuses(function, [](Call& c) { c.alpha = INFINITY; }, {"not finite"});
  }
  refuses(adamw, [](Call& c) { c.params.lr = INFINITY; }, {"lr is inf"});
  refuses(adamw, [](Call& c) { c.params.eps = std::nan(""); }, {"eps"});
  refuses(adamw, [](Call& c) { c.params.weight_decay = -INFINITY; }, {"weight_decay"});
  refuses(adamw, [](Call& c) { c.params.gradient_scale = INFINITY; }, {"gradient_scale"});
  refuses(adamw, [](Call& c) { c.params.bias_correction1 = 0.0; }, {"bias_correction1 is 0", "positive"});
  refuses(adamw, [](Call& c) { c.params.bias_correction2 = -1.0; }, {"bias_correction2 is -1"});
  for (const Function function : {update, adamw}) {
    refuses(function, [](Call& c) { c.master = c.numbers; }, {"master is for bf16 weights"});
  }
}

MU_TEST(arguments, empty_ranges_do_nothing) {
  for (const Function function : {quantize, dequantize, sum_squares, momentum, adamw}) {
    Call call;
    call.begin = 64;
    call.end = 64;
    CHECK_EQUAL(function(call), MU_OK);
    const Call untouched;
    CHECK(std::memcmp(call.out, untouched.out, sizeof call.out) == 0);
    CHECK(std::memcmp(call.codes, untouched.codes, sizeof call.codes) == 0);
  }
}
