/* formats.cpp - the entry points of the block formats. */
#include <cstring>

#include "abi/arguments.h"
#include "backend.h"
#include "failure.h"
#include "math/format.h"

using muonium::Arguments;

mu_status mu_quantize(const mu_context* context, mu_format format, int64_t block, const void* x, mu_type x_type,
                      void* codes, float* scales, int64_t begin, int64_t end) {
  const Arguments check("mu_quantize");
  if (!(check.context(context) && check.block_format(format, "format") && check.type(x_type, "x_type") &&
        check.array(x, x_type, "x") && check.state(format, codes, scales, "codes", "scales") && check.elements(begin, end) &&
        check.blocks(block, begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->quantize(context, format, block, x, x_type, codes, scales, begin, end);
}

mu_status mu_dequantize(const mu_context* context, mu_format format, int64_t block, const void* codes,
                        const float* scales, void* out, mu_type out_type, int64_t begin, int64_t end) {
  const Arguments check("mu_dequantize");
  if (!(check.context(context) && check.block_format(format, "format") && check.type(out_type, "out_type") &&
        check.array(out, out_type, "out") && check.state(format, codes, scales, "codes", "scales") &&
        check.elements(begin, end) && check.blocks(block, begin, end))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->dequantize(context, format, block, codes, scales, out, out_type, begin, end);
}

mu_status mu_fp8_operand(const mu_context* context, mu_format format, mu_scaling scaling, int32_t transposed,
                         const void* x, mu_type x_type, int64_t x_ld, int64_t rows, int64_t cols, void* codes,
                         int64_t codes_ld, int64_t codes_rows, float* scales, int64_t scales_ld) {
  const Arguments check("mu_fp8_operand");
  if (!(check.context(context) &&
        check.holds(format == MU_FORMAT_FP8_E4M3 || format == MU_FORMAT_FP8_E5M2,
                    "format is not FP8_E4M3 (4) or FP8_E5M2 (5)") &&
        check.holds(scaling == MU_SCALING_TENSOR || scaling == MU_SCALING_VECTORS || scaling == MU_SCALING_SQUARES,
                    "scaling is not TENSOR (0), VECTORS (1) or SQUARES (2)") &&
        check.holds(transposed == 0 || transposed == 1, "transposed is neither 0 nor 1") &&
        check.type(x_type, "x_type") && check.array(x, x_type, "x") && check.not_negative(rows, "rows") &&
        check.not_negative(cols, "cols") && check.at_least(x_ld, cols, "x_ld", "cols") &&
        check.extent("rows * x_ld", rows, x_ld) && check.pointer(codes, 16, "codes") &&
        check.holds(codes_ld % 16 == 0, "codes_ld is not a multiple of 16") &&
        check.at_least(codes_ld, transposed != 0 ? rows : cols, "codes_ld", "the operand's row") &&
        check.at_least(codes_rows, transposed != 0 ? cols : rows, "codes_rows", "the operand's rows") &&
        check.extent("codes_rows * codes_ld", codes_rows, codes_ld) && check.floats(scales, "scales"))) {
    return MU_INVALID_ARGUMENT;
  }
  if ((scaling == MU_SCALING_VECTORS && !check.at_least(scales_ld, codes_rows, "scales_ld", "codes_rows")) ||
      (scaling == MU_SCALING_SQUARES &&
       !check.at_least(scales_ld, (codes_ld + 127) / 128, "scales_ld", "the blocks of codes_ld"))) {
    return MU_INVALID_ARGUMENT;
  }
  return context->table->fp8_operand(context, format, scaling, transposed, x, x_type, x_ld, rows, cols, codes, codes_ld,
                                     codes_rows, scales, scales_ld);
}

mu_status mu_dynamic_map(mu_format format, float* map) {
  const Arguments check("mu_dynamic_map");
  if (!check.floats(map, "map")) {
    return MU_INVALID_ARGUMENT;
  }
  if (format != MU_FORMAT_INT8_DYNAMIC_SIGNED && format != MU_FORMAT_INT8_DYNAMIC_UNSIGNED) {
    return muonium::fail(MU_INVALID_ARGUMENT,
                         "mu_dynamic_map: format is %d, not INT8_DYNAMIC_SIGNED (2) or INT8_DYNAMIC_UNSIGNED (3)",
                         static_cast<int>(format));
  }
  const bool is_signed = format == MU_FORMAT_INT8_DYNAMIC_SIGNED;
  std::memcpy(map, is_signed ? muonium::kDynamicMapSigned : muonium::kDynamicMapUnsigned, 256 * sizeof(float));
  return MU_OK;
}
