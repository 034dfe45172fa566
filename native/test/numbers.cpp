#include "numbers.h"

#include <map>
#include <random>
#include <tuple>

namespace test {
namespace {

std::vector<float> draw(Kind kind, int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> halves(-254, 254);
  std::uniform_int_distribution<int> exponent(-40, 40);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) {
    switch (kind) {
      case Kind::kNormal:
        x[i] = normal(random);
        break;
      case Kind::kWide:
        x[i] = std::ldexp(normal(random), exponent(random));
        break;
      case Kind::kTies: /* with an absmax of 127 in every block of 64 or more, scale is 1 */
        x[i] = i % 64 == 0 ? 127.0f : 0.5f * static_cast<float>(halves(random));
        break;
      case Kind::kSubnormal:
        x[i] = normal(random) * 1e-39f;
        break;
      case Kind::kZeros:
        x[i] = i % 2 == 0 ? 0.0f : -0.0f;
        break;
      case Kind::kSparse:
        x[i] = random() % 97 == 0 ? normal(random) : 0.0f;
        break;
    }
  }
  return x;
}

}  // namespace

std::string name(Kind kind) {
  switch (kind) {
    case Kind::kNormal:
      return "normal";
    case Kind::kWide:
      return "exponents from -40 to 40";
    case Kind::kTies:
      return "halves of integers";
    case Kind::kSubnormal:
      return "subnormal";
    case Kind::kZeros:
      return "zeros";
    case Kind::kSparse:
      return "nearly all zero";
  }
  return "";
}

/* They are kept: drawing them took a quarter of some suites' time. */
std::vector<float> numbers(Kind kind, int64_t count, uint32_t seed) {
  constexpr int64_t kMostKept = int64_t{1} << 24;
  static std::map<std::tuple<Kind, int64_t, uint32_t>, std::vector<float>> drawn;
  static int64_t kept = 0;
  const auto key = std::tuple(kind, count, seed);
  const auto found = drawn.find(key);
  if (found != drawn.end()) {
    return found->second;
  }
  std::vector<float> x = draw(kind, count, seed);
  if (kept + count <= kMostKept) {
    kept += count;
    drawn.emplace(key, x);
  }
  return x;
}

}  // namespace test
