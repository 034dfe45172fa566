/* formats_test.cpp - the block formats: the plain kernels against exact arithmetic, every tier against the plain ones. */
#include <algorithm>
#include <fstream>
#include <limits>
#include <random>

#include "check.h"
#include "guarded.h"
#include "numbers.h"
#include "tiers.h"

namespace {

constexpr mu_format kFormats[] = {MU_FORMAT_INT8_LINEAR, MU_FORMAT_INT8_DYNAMIC_SIGNED,
                                  MU_FORMAT_INT8_DYNAMIC_UNSIGNED, MU_FORMAT_FP8_E4M3, MU_FORMAT_FP8_E5M2};
constexpr mu_type kTypes[] = {MU_F32, MU_BF16};

struct Quantized {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
};

std::vector<uint32_t> bits_of(const std::vector<float>& x) {
  std::vector<uint32_t> bits(x.size());
  std::memcpy(bits.data(), x.data(), x.size() * sizeof(float));
  return bits;
}

bool same_bits(const Quantized& a, const Quantized& b) {
  return a.codes == b.codes && bits_of(a.scales) == bits_of(b.scales);
}

int64_t blocks(int64_t count, int64_t block) {
  return (count + block - 1) / block;
}

/* Every buffer ends at a page that cannot be touched; `skip` elements of x are left out to misalign it. */
Quantized quantize(const mu_context* context, mu_format format, int64_t block, const std::vector<float>& x,
                   mu_type type, std::size_t cut = 0) {
  const int64_t n = static_cast<int64_t>(x.size());
  const test::Guarded<std::byte> source(test::as_type(x, type));
  test::Guarded<uint8_t> codes(x.size());
  test::Guarded<float> scales(static_cast<std::size_t>(blocks(n, block)));
  const int64_t middle = static_cast<int64_t>(cut) * block;
  CHECK_EQUAL(mu_quantize(context, format, block, source.data(), type, codes.data(), scales.data(), 0, std::min(middle, n)),
              MU_OK);
  if (middle < n) {
    CHECK_EQUAL(mu_quantize(context, format, block, source.data(), type, codes.data(), scales.data(), middle, n), MU_OK);
  }
  return Quantized{codes.values(), scales.values()};
}

std::vector<std::byte> dequantize(const mu_context* context, mu_format format, int64_t block, const Quantized& q,
                                  mu_type type) {
  const test::Guarded<uint8_t> codes(q.codes);
  const test::Guarded<float> scales(q.scales);
  test::Guarded<std::byte> out(q.codes.size() * (type == MU_BF16 ? 2 : 4));
  CHECK_EQUAL(mu_dequantize(context, format, block, codes.data(), scales.data(), out.data(), type, 0,
                            static_cast<int64_t>(q.codes.size())),
              MU_OK);
  return out.values();
}

std::vector<float> map_of(mu_format format) {
  std::vector<float> map(256);
  CHECK_EQUAL(mu_dynamic_map(format, map.data()), MU_OK);
  return map;
}

/* By trying all entries, in double: the lowest of the nearest. */
int nearest(const std::vector<float>& map, float a) {
  int best = 0;
  for (int i = 1; i < 256; ++i) {
    const auto distance = [&](int k) {
      return std::fabs(static_cast<double>(map[static_cast<std::size_t>(k)]) - static_cast<double>(a));
    };
    if (distance(i) < distance(best)) {
      best = i;
    }
  }
  return best;
}

float absmax_of(const std::vector<float>& x, int64_t begin, int64_t end) {
  float absmax = 0.0f;
  for (int64_t i = begin; i < end; ++i) {
    absmax = std::max(absmax, std::fabs(x[static_cast<std::size_t>(i)]));
  }
  return absmax;
}

/* Values whose quotients fall on every threshold of a map, just above and just below; the absmax of each block is 1. */
std::vector<float> around_thresholds(const std::vector<float>& map, int64_t block) {
  std::vector<float> x;
  for (std::size_t i = 0; i + 1 < map.size(); ++i) {
    const double middle = (static_cast<double>(map[i]) + static_cast<double>(map[i + 1])) / 2.0;
    float near = static_cast<float>(middle);
    for (int step = 0; step < 4; ++step) {
      near = std::nextafter(near, -2.0f);
    }
    for (int step = 0; step < 9; ++step) {
      if (static_cast<int64_t>(x.size()) % block == 0) {
        x.push_back(1.0f);
      }
      x.push_back(near);
      near = std::nextafter(near, 2.0f);
    }
  }
  return x;
}

}  // namespace

MU_TEST(formats, maps_are_the_recorded_ones) {
  for (const mu_format format : {MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
    const char* file = format == MU_FORMAT_INT8_DYNAMIC_SIGNED ? "dynamic_map_signed.txt" : "dynamic_map_unsigned.txt";
    std::ifstream recorded(std::string(MU_TEST_DATA) + "/" + file);
    CHECK(recorded.good());
    const std::vector<float> map = map_of(format);
    for (const float value : map) {
      std::string line;
      CHECK(static_cast<bool>(std::getline(recorded, line)));
      CHECK_EQUAL(value, std::stof(line));
    }
    CHECK(std::is_sorted(map.begin(), map.end()));
  }
}

MU_TEST(formats, linear_is_the_formula) {
  for (const test::Kind kind : test::kKinds) {
    const test::Scope scope(test::name(kind));
    const std::vector<float> x = test::numbers(kind, 1000, 1);
    const Quantized q = quantize(test::oracle(), MU_FORMAT_INT8_LINEAR, 128, x, MU_F32);
    for (int64_t i = 0; i < 1000; ++i) {
      const float absmax = absmax_of(x, i / 128 * 128, std::min<int64_t>(i / 128 * 128 + 128, 1000));
      const float scale = absmax / 127.0f;
      const std::size_t at = static_cast<std::size_t>(i);
      CHECK_EQUAL(q.scales[at / 128], scale);
      const double quotient = scale == 0.0f ? 0.0 : static_cast<double>(x[at] / scale);
      const double expected = std::clamp(std::nearbyint(quotient), -127.0, 127.0);
      CHECK_EQUAL(static_cast<double>(static_cast<int8_t>(q.codes[at])), expected);
    }
  }
}

MU_TEST(formats, dynamic_is_the_nearest_entry) {
  for (const mu_format format : {MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
    const std::vector<float> map = map_of(format);
    std::vector<std::vector<float>> inputs = {around_thresholds(map, 128)};
    for (const test::Kind kind : test::kKinds) {
      inputs.push_back(test::numbers(kind, 1000, 2));
    }
    for (const std::vector<float>& x : inputs) {
      const Quantized q = quantize(test::oracle(), format, 128, x, MU_F32);
      const int64_t n = static_cast<int64_t>(x.size());
      for (int64_t i = 0; i < n; ++i) {
        const std::size_t at = static_cast<std::size_t>(i);
        const float absmax = absmax_of(x, i / 128 * 128, std::min(i / 128 * 128 + 128, n));
        CHECK_EQUAL(q.scales[at / 128], absmax);
        CHECK_EQUAL(int{q.codes[at]}, nearest(map, absmax == 0.0f ? 0.0f : x[at] / absmax));
      }
    }
  }
}

MU_TEST(formats, tiers_agree_bit_for_bit) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : kFormats) {
      for (const mu_type type : kTypes) {
        for (const test::Kind kind : test::kKinds) {
          for (const int64_t block : {64, 128, 2048}) {
            for (const int64_t n : test::ragged_sizes()) {
              const test::Scope scope("format " + std::to_string(format) + ", type " + std::to_string(type) + ", " +
                                      test::name(kind) + ", block " + std::to_string(block) + ", n " +
                                      std::to_string(n));
              const std::vector<float> x = test::numbers(kind, n, static_cast<uint32_t>(n));
              const Quantized expected = quantize(test::oracle(), format, block, x, type);
              CHECK(same_bits(quantize(context, format, block, x, type), expected));
              CHECK(same_bits(quantize(context, format, block, x, type, 1), expected));
              for (const mu_type out : kTypes) {
                CHECK(dequantize(context, format, block, expected, out) ==
                      dequantize(test::oracle(), format, block, expected, out));
              }
            }
          }
        }
      }
    }
  });
}

MU_TEST(formats, tiers_agree_around_thresholds) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : {MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
      std::vector<float> x = around_thresholds(map_of(format), 128);
      for (const float sign : {1.0f, -1.0f}) {
        for (float& value : x) {
          value *= sign;
        }
        CHECK(same_bits(quantize(context, format, 128, x, MU_F32), quantize(test::oracle(), format, 128, x, MU_F32)));
      }
    }
  });
}

MU_TEST(formats, tiers_agree_around_halves) {
  test::for_each_tier([](const mu_context* context) {
    /* Quotients next to k + 1/2, for scales that are no powers of two: where a reciprocal would round differently. */
    std::mt19937 random(5);
    std::uniform_real_distribution<float> magnitude(0.5f, 1000.0f);
    for (int round = 0; round < 200; ++round) {
      std::vector<float> x(128);
      x[0] = magnitude(random);
      const float scale = x[0] / 127.0f;
      for (std::size_t i = 1; i < 128; ++i) {
        float near = (static_cast<float>(i) - 0.5f) * scale;
        for (int step = static_cast<int>(random() % 7) - 3; step != 0; step += step > 0 ? -1 : 1) {
          near = std::nextafter(near, step > 0 ? 1e9f : -1e9f);
        }
        x[i] = std::min(near, x[0]) * (i % 2 == 0 ? 1.0f : -1.0f);
      }
      CHECK(same_bits(quantize(context, MU_FORMAT_INT8_LINEAR, 128, x, MU_F32),
                      quantize(test::oracle(), MU_FORMAT_INT8_LINEAR, 128, x, MU_F32)));
    }
  });
}

MU_TEST(formats, something_non_finite_poisons_its_block_only) {
  test::for_each_tier([](const mu_context* context) {
    for (const mu_format format : kFormats) {
      for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::signaling_NaN()}) {
        std::vector<float> x = test::numbers(test::Kind::kNormal, 300, 3);
        x[130] = bad;
        const Quantized q = quantize(context, format, 128, x, MU_F32);
        CHECK(same_bits(q, quantize(test::oracle(), format, 128, x, MU_F32)));
        const std::vector<std::byte> back = dequantize(context, format, 128, q, MU_F32);
        for (int64_t i = 0; i < 300; ++i) {
          CHECK_EQUAL(std::isnan(test::value_at(back.data(), MU_F32, i)), i / 128 == 1);
        }
      }
    }
  });
}

MU_TEST(formats, values_on_the_grid_survive) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> grid(255);
    for (int i = -127; i <= 127; ++i) {
      grid[static_cast<std::size_t>(i + 127)] = 0.25f * static_cast<float>(i);
    }
    const Quantized q = quantize(context, MU_FORMAT_INT8_LINEAR, 256, grid, MU_F32);
    CHECK(dequantize(context, MU_FORMAT_INT8_LINEAR, 256, q, MU_F32) == test::as_type(grid, MU_F32));
    for (const mu_format format : {MU_FORMAT_INT8_DYNAMIC_SIGNED, MU_FORMAT_INT8_DYNAMIC_UNSIGNED}) {
      const std::vector<float> map = map_of(format);
      const Quantized mapped = quantize(context, format, 256, map, MU_F32);
      CHECK(dequantize(context, format, 256, mapped, MU_F32) == test::as_type(map, MU_F32));
    }
  });
}

MU_TEST(formats, an_outlier_stays_in_its_block) {
  test::for_each_tier([](const mu_context* context) {
    std::vector<float> x = test::numbers(test::Kind::kNormal, 384, 4);
    const Quantized before = quantize(context, MU_FORMAT_INT8_LINEAR, 128, x, MU_F32);
    x[200] = 1e6f;
    const Quantized after = quantize(context, MU_FORMAT_INT8_LINEAR, 128, x, MU_F32);
    CHECK_EQUAL(after.scales[0], before.scales[0]);
    CHECK_EQUAL(after.scales[2], before.scales[2]);
    CHECK(std::equal(before.codes.begin(), before.codes.begin() + 128, after.codes.begin()));
    CHECK(std::equal(before.codes.begin() + 256, before.codes.end(), after.codes.begin() + 256));
    CHECK(after.scales[1] > before.scales[1]);
  });
}

namespace {

/* An FP8 format by its definition: exponent and mantissa of a code, and the nearest code by trying all of them. */
struct Fp8 {
  mu_format format;
  int mantissa_bits;
  int bias;
  int greatest; /* the code of the greatest number */

  double value(int code) const {
    const int exponent = (code & 0x7f) >> mantissa_bits;
    const double fraction = static_cast<double>(code & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits);
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1.0 + fraction, exponent - bias);
    return (code & 0x80) != 0 ? -magnitude : magnitude;
  }

  int nearest(double a) const {
    const double magnitude = std::fabs(a);
    int best = 0;
    for (int code = 1; code <= greatest; ++code) {
      const double distance = std::fabs(value(code) - magnitude);
      const double least = std::fabs(value(best) - magnitude);
      if (distance < least || (distance == least && code % 2 == 0)) {
        best = code;
      }
    }
    return std::signbit(a) ? best | 0x80 : best;
  }
};

constexpr Fp8 kFp8[] = {{MU_FORMAT_FP8_E4M3, 3, 7, 0x7e}, {MU_FORMAT_FP8_E5M2, 2, 15, 0x7b}};

}  // namespace

MU_TEST(formats, fp8_codes_are_the_numbers_of_their_definition) {
  CHECK_EQUAL(kFp8[0].value(0x7e), 448.0);
  CHECK_EQUAL(kFp8[1].value(0x7b), 57344.0);
  CHECK_EQUAL(kFp8[0].value(1), 0x1p-9);
  CHECK_EQUAL(kFp8[1].value(1), 0x1p-16);
  test::for_each_tier([](const mu_context* context) {
    for (const Fp8& fp8 : kFp8) {
      Quantized all{std::vector<uint8_t>(256), {1.0f}};
      for (std::size_t code = 0; code < 256; ++code) {
        all.codes[code] = static_cast<uint8_t>(code);
      }
      const std::vector<std::byte> values = dequantize(context, fp8.format, 256, all, MU_F32);
      std::vector<float> numbers;
      std::vector<uint8_t> codes;
      for (int code = 0; code < 256; ++code) {
        const test::Scope scope("code " + std::to_string(code) + " of format " + std::to_string(fp8.format));
        const double value = test::value_at(values.data(), MU_F32, code);
        const int magnitude = code & 0x7f;
        if (magnitude <= fp8.greatest) {
          CHECK_EQUAL(value, fp8.value(code));
          CHECK_EQUAL(std::signbit(value), code >= 0x80);
          numbers.push_back(static_cast<float>(value));
          codes.push_back(static_cast<uint8_t>(code));
        } else if (fp8.format == MU_FORMAT_FP8_E5M2 && magnitude == 0x7c) {
          CHECK_EQUAL(value, code < 0x80 ? static_cast<double>(INFINITY) : -static_cast<double>(INFINITY));
        } else {
          CHECK(std::isnan(value));
        }
      }
      /* With the greatest number in the block its scale is 1, and all numbers survive. */
      const Quantized back = quantize(context, fp8.format, 256, numbers, MU_F32);
      CHECK_EQUAL(back.scales[0], 1.0f);
      CHECK(back.codes == codes);
    }
  });
}

MU_TEST(formats, fp8_rounds_to_nearest_even) {
  test::for_each_tier([](const mu_context* context) {
    for (const Fp8& fp8 : kFp8) {
      std::vector<float> x;
      std::vector<uint8_t> expected;
      for (int code = 0; code < fp8.greatest; ++code) {
        const float middle = static_cast<float>((fp8.value(code) + fp8.value(code + 1)) / 2.0); /* exact */
        for (const float sign : {1.0f, -1.0f}) {
          const int bit = sign < 0.0f ? 0x80 : 0;
          for (const float one : {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, INFINITY)}) {
            x.push_back(sign * one);
          }
          expected.push_back(static_cast<uint8_t>(bit | code));
          expected.push_back(static_cast<uint8_t>(bit | (code % 2 == 0 ? code : code + 1)));
          expected.push_back(static_cast<uint8_t>(bit | (code + 1)));
        }
      }
      x.push_back(static_cast<float>(fp8.value(fp8.greatest)));
      expected.push_back(static_cast<uint8_t>(fp8.greatest));
      const Quantized q = quantize(context, fp8.format, 2048, x, MU_F32);
      CHECK_EQUAL(q.scales[0], 1.0f);
      CHECK(q.codes == expected);
    }
  });
}

MU_TEST(formats, fp8_is_the_formula) {
  test::for_each_tier([](const mu_context* context) {
    for (const Fp8& fp8 : kFp8) {
      for (const test::Kind kind : test::kKinds) {
        const test::Scope scope("format " + std::to_string(fp8.format) + ", " + test::name(kind));
        const std::vector<float> x = test::numbers(kind, 1000, 31);
        const Quantized q = quantize(context, fp8.format, 128, x, MU_F32);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const std::size_t begin = i / 128 * 128;
          float absmax = 0.0f;
          for (std::size_t j = begin; j < std::min(begin + 128, x.size()); ++j) {
            absmax = std::max(absmax, std::fabs(x[j]));
          }
          const float scale = absmax / static_cast<float>(fp8.value(fp8.greatest));
          CHECK_EQUAL(q.scales[i / 128], scale);
          /* What is beyond the greatest number, as happens with a subnormal scale, is nearest to that. */
          const int code = scale > 0.0f ? fp8.nearest(static_cast<double>(x[i] / scale)) : 0;
          CHECK_EQUAL(int{q.codes[i]}, code);
        }
      }
      /* An absmax that a subnormal scale of one unit makes far too large for the format: it saturates. */
      const std::vector<float> tiny = {0x1p-149f * 600.0f, -0x1p-149f * 600.0f, 0.0f};
      const Quantized saturated = quantize(context, MU_FORMAT_FP8_E4M3, 64, tiny, MU_F32);
      CHECK_EQUAL(saturated.scales[0], 0x1p-149f);
      CHECK(saturated.codes == (std::vector<uint8_t>{0x7e, 0xfe, 0}));
    }
  });
}
