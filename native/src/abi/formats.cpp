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
