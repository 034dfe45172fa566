/* fp8_operand_test.cpp - matrices as operands of FP8 products: against the block formats and exact arithmetic, in every tier. */
#include <algorithm>
#include <limits>
#include <string>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr int64_t kBlock = 128;

struct Shape {
  int64_t rows;
  int64_t cols;
  int64_t spare_cols; /* of x, behind each row */
  int64_t spare_rows; /* of the operand */
};

/* Smaller than a tile, ragged beyond tiles and squares, and exactly squares. */
constexpr Shape kShapes[] = {{1, 1, 0, 3}, {5, 37, 3, 0}, {33, 130, 0, 7}, {129, 64, 1, 4}, {150, 300, 2, 2}, {256, 128, 0, 0}};
constexpr mu_scaling kScalings[] = {MU_SCALING_TENSOR, MU_SCALING_VECTORS, MU_SCALING_SQUARES};

struct Coded {
  int64_t rows = 0; /* as stored */
  int64_t cols = 0;
  int64_t scales_ld = 0;
  std::vector<uint8_t> codes;
  std::vector<float> scales;

  float scale(mu_scaling scaling, int64_t row, int64_t col) const {
    const int64_t block = col / kBlock;
    const int64_t at = scaling == MU_SCALING_TENSOR    ? 0
                       : scaling == MU_SCALING_VECTORS ? row + block * scales_ld
                                                       : block + row / kBlock * scales_ld;
    return scales[static_cast<std::size_t>(at)];
  }
};

int64_t up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/* Codes and scales begin as what no kernel writes, so that what was left out shows. */
Coded code(const mu_context* context, mu_format format, mu_scaling scaling, bool transposed, const Shape& shape,
           const std::vector<float>& x, mu_type type) {
  Coded coded;
  coded.rows = (transposed ? shape.cols : shape.rows) + shape.spare_rows;
  coded.cols = up(transposed ? shape.rows : shape.cols, 16);
  const int64_t blocks = up(coded.cols, kBlock) / kBlock;
  coded.scales_ld = scaling == MU_SCALING_SQUARES ? up(blocks, 4) : coded.rows;
  const int64_t scales = scaling == MU_SCALING_TENSOR    ? 2
                         : scaling == MU_SCALING_VECTORS ? coded.rows * blocks
                                                         : coded.scales_ld * (up(coded.rows, kBlock) / kBlock);
  const test::Guarded<std::byte> source(test::as_type(x, type));
  test::Guarded<uint8_t> codes(std::vector<uint8_t>(static_cast<std::size_t>(coded.rows * coded.cols), 0xa5));
  test::Guarded<float> all(std::vector<float>(static_cast<std::size_t>(scales), 0.0f));
  CHECK_EQUAL(mu_fp8_operand(context, format, scaling, transposed ? 1 : 0, source.data(), type,
                             shape.cols + shape.spare_cols, shape.rows, shape.cols, codes.data(), coded.cols, coded.rows,
                             all.data(), coded.scales_ld),
              MU_OK);
  coded.codes = codes.values();
  coded.scales = all.values();
  return coded;
}

std::vector<float> source(const Shape& shape, test::Kind kind) {
  /* The last row has no spare columns: nothing beyond it is there to be read. */
  const int64_t ld = shape.cols + shape.spare_cols;
  return test::numbers(kind, (shape.rows - 1) * ld + shape.cols, static_cast<uint32_t>(shape.rows));
}

/* What the code stands for, without its scale: by the block format, which has tests of its own. */
float number(mu_format format, uint8_t code) {
  const float scale = 1.0f;
  float value = 0.0f;
  CHECK_EQUAL(mu_dequantize(test::oracle(), format, 128, &code, &scale, &value, MU_F32, 0, 1), MU_OK);
  return value;
}

std::string named(mu_format format, mu_scaling scaling, bool transposed, const Shape& shape) {
  return "format " + std::to_string(format) + ", scaling " + std::to_string(scaling) + (transposed ? ", transposed, " : ", ") +
         std::to_string(shape.rows) + " x " + std::to_string(shape.cols);
}

}  // namespace

MU_TEST(fp8_operand, every_value_is_near_and_what_is_beyond_is_zero) {
  for (const mu_format format : {MU_FORMAT_FP8_E4M3, MU_FORMAT_FP8_E5M2}) {
    /* Half a step of the mantissa, and half the least number, both after a division that rounds. */
    const double relative = format == MU_FORMAT_FP8_E4M3 ? 0x1p-4 : 0x1p-3;
    const double least = format == MU_FORMAT_FP8_E4M3 ? 0x1p-10 : 0x1p-17;
    const float greatest = format == MU_FORMAT_FP8_E4M3 ? 448.0f : 57344.0f;
    for (const mu_scaling scaling : kScalings) {
      for (const bool transposed : {false, true}) {
        for (const Shape& shape : kShapes) {
          const test::Scope scope(named(format, scaling, transposed, shape));
          const std::vector<float> x = source(shape, test::Kind::kNormal);
          const Coded coded = code(test::oracle(), format, scaling, transposed, shape, x, MU_F32);
          float absmax = 0.0f;
          for (int64_t row = 0; row < coded.rows; ++row) {
            for (int64_t col = 0; col < coded.cols; ++col) {
              const int64_t i = transposed ? col : row;
              const int64_t j = transposed ? row : col;
              const uint8_t one = coded.codes[static_cast<std::size_t>(row * coded.cols + col)];
              if (i >= shape.rows || j >= shape.cols) {
                CHECK_EQUAL(int{one}, 0);
                continue;
              }
              const double expected = static_cast<double>(x[static_cast<std::size_t>(i * (shape.cols + shape.spare_cols) + j)]);
              const double scale = static_cast<double>(coded.scale(scaling, row, col));
              const double got = static_cast<double>(number(format, one)) * scale;
              CHECK(std::fabs(got - expected) <= (relative * std::fabs(expected) + least * scale) * (1.0 + 1e-6));
              absmax = std::max(absmax, static_cast<float>(std::fabs(expected)));
            }
          }
          /* The greatest value of all has the greatest number of its block. */
          const std::vector<float>& scales = coded.scales;
          CHECK_EQUAL(scaling == MU_SCALING_TENSOR ? scales[0] : *std::max_element(scales.begin(), scales.end()),
                      absmax / greatest);
        }
      }
    }
  }
}

MU_TEST(fp8_operand, a_vector_is_a_block_of_the_block_format) {
  const Shape shape = {6, 256, 0, 0};
  const std::vector<float> x = source(shape, test::Kind::kWide);
  std::vector<uint8_t> codes(x.size());
  std::vector<float> scales(x.size() / 128);
  CHECK_EQUAL(mu_quantize(test::oracle(), MU_FORMAT_FP8_E4M3, 128, x.data(), MU_F32, codes.data(), scales.data(), 0,
                          static_cast<int64_t>(x.size())),
              MU_OK);
  const Coded coded = code(test::oracle(), MU_FORMAT_FP8_E4M3, MU_SCALING_VECTORS, false, shape, x, MU_F32);
  CHECK(coded.codes == codes);
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t block = 0; block < 2; ++block) {
      CHECK_EQUAL(coded.scale(MU_SCALING_VECTORS, row, block * 128), scales[static_cast<std::size_t>(2 * row + block)]);
    }
  }
}

MU_TEST(fp8_operand, tiers_agree_bit_for_bit) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : {MU_FORMAT_FP8_E4M3, MU_FORMAT_FP8_E5M2}) {
      for (const mu_scaling scaling : kScalings) {
        for (const bool transposed : {false, true}) {
          for (const Shape& shape : kShapes) {
            for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kWide, test::Kind::kSparse}) {
              for (const mu_type type : {MU_F32, MU_BF16}) {
                const test::Scope scope(named(format, scaling, transposed, shape) + ", " + test::name(kind));
                const std::vector<float> x = source(shape, kind);
                const Coded expected = code(test::oracle(), format, scaling, transposed, shape, x, type);
                const Coded got = code(context, format, scaling, transposed, shape, x, type);
                CHECK(got.codes == expected.codes);
                CHECK(std::memcmp(got.scales.data(), expected.scales.data(), got.scales.size() * sizeof(float)) == 0);
              }
            }
          }
        }
      }
    }
  });
}

MU_TEST(fp8_operand, what_is_not_finite_makes_its_scale_nan) {
  test::for_each_tier([](const mu_context* context) {
    const Shape shape = {130, 260, 0, 2};
    for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      for (const mu_scaling scaling : kScalings) {
        std::vector<float> x = source(shape, test::Kind::kNormal);
        x[static_cast<std::size_t>(129 * shape.cols + 200)] = wrong;
        const Coded coded = code(context, MU_FORMAT_FP8_E5M2, scaling, false, shape, x, MU_F32);
        CHECK(std::isnan(coded.scale(scaling, 129, 200)));
        CHECK_EQUAL(std::isnan(coded.scale(scaling, 0, 0)), scaling == MU_SCALING_TENSOR);
        CHECK_EQUAL(int{coded.codes[static_cast<std::size_t>(129 * coded.cols + 200)]}, 0);
      }
    }
  });
}

MU_TEST(fp8_operand, refuses_with_a_sentence) {
  const std::vector<float> x(64, 1.0f);
  alignas(16) uint8_t codes[256];
  float scales[16];
  const auto refused = [&](mu_format format, mu_scaling scaling, int32_t transposed, int64_t x_ld, int64_t rows, void* to,
                           int64_t codes_ld, int64_t codes_rows, int64_t scales_ld, const char* sentence) {
    CHECK_EQUAL(mu_fp8_operand(test::oracle(), format, scaling, transposed, x.data(), MU_F32, x_ld, rows, 8, to, codes_ld,
                               codes_rows, scales, scales_ld),
                MU_INVALID_ARGUMENT);
    const std::string text = mu_last_error();
    const test::Scope scope(text + " lacks '" + sentence + "'");
    CHECK(text.find("mu_fp8_operand: ") == 0 && text.find(sentence) != std::string::npos);
  };
  refused(MU_FORMAT_INT8_LINEAR, MU_SCALING_TENSOR, 0, 8, 4, codes, 16, 4, 0, "format is not FP8_E4M3 (4) or FP8_E5M2 (5)");
  refused(MU_FORMAT_FP8_E4M3, test::any_number<mu_scaling>(3), 0, 8, 4, codes, 16, 4, 0, "scaling is not TENSOR (0)");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 2, 8, 4, codes, 16, 4, 0, "transposed is neither 0 nor 1");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 0, 7, 4, codes, 16, 4, 0, "x_ld is 7, less than cols 8");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 0, 8, -1, codes, 16, 4, 0, "rows is -1");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 0, 8, 4, codes + 8, 16, 4, 0, "codes is at");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 0, 8, 4, codes, 8, 4, 0, "codes_ld is not a multiple of 16");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 0, 8, 4, codes, 0, 4, 0, "codes_ld is 0, less than the operand's row 8");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_TENSOR, 1, 8, 4, codes, 16, 4, 0, "codes_rows is 4, less than the operand's rows 8");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_VECTORS, 0, 8, 4, codes, 16, 4, 3, "scales_ld is 3, less than codes_rows 4");
  refused(MU_FORMAT_FP8_E4M3, MU_SCALING_SQUARES, 0, 8, 4, codes, 16, 4, 0, "scales_ld is 0, less than the blocks of codes_ld 1");
}
