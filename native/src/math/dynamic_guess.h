/*
 * dynamic_guess.h - the code of a dynamic map in two look-ups instead of a search of eight steps. The floats from -1 to 1
 * are cut into bins by sign, exponent and seven bits of the mantissa; a bin holds at most one threshold, so the code of
 * its lowest number and one comparison give the code of any.
 */
#ifndef MUONIUM_MATH_DYNAMIC_GUESS_H
#define MUONIUM_MATH_DYNAMIC_GUESS_H

#include "math/format.h"

namespace muonium {

inline constexpr uint32_t kGuessShift = 16;
/* Smaller magnitudes than 2^-23 share the first bin: no threshold lies there but 0's neighbours' beyond it. */
inline constexpr uint32_t kFirstBin = (127u - 23u) << (23u - kGuessShift);
/* One for 1 itself. */
inline constexpr uint32_t kGuessBins = 23u * (1u << (23u - kGuessShift)) + 1u;

/* The tables of a map: codes of bins (not negative, then negative), thresholds, values. Copied in pieces of 16 bytes. */
struct alignas(16) DynamicTables {
  float value[256];
  float threshold[256];
  uint8_t guess[(2 * kGuessBins + 15) / 16 * 16];
};

constexpr float bin_start(uint32_t bin) {
  return bin == 0 ? 0.0f : __builtin_bit_cast(float, (bin + kFirstBin) << kGuessShift);
}

/* The largest magnitude of a bin. */
constexpr float bin_end(uint32_t bin) {
  return __builtin_bit_cast(float, ((bin + kFirstBin + 1u) << kGuessShift) - 1u);
}

constexpr DynamicTables make_dynamic_tables(const DynamicMap& map) {
  DynamicTables tables{};
  for (int i = 0; i < 256; ++i) {
    tables.value[i] = map.value[i];
    tables.threshold[i] = map.threshold[i];
  }
  uint32_t code = 0;
  for (uint32_t bin = kGuessBins; bin-- > 0;) { /* ascending from -1 to 0 */
    while (map.threshold[code] < -bin_end(bin)) {
      ++code;
    }
    tables.guess[kGuessBins + bin] = static_cast<uint8_t>(code);
  }
  for (uint32_t bin = 0; bin < kGuessBins; ++bin) {
    while (map.threshold[code] < bin_start(bin)) {
      ++code;
    }
    tables.guess[bin] = static_cast<uint8_t>(code);
  }
  return tables;
}

/* Whether no bin holds two thresholds. */
constexpr bool bins_suffice(const DynamicTables& tables) {
  for (uint32_t bin = 0; bin < kGuessBins; ++bin) {
    const uint32_t up = tables.guess[bin];
    const uint32_t down = tables.guess[kGuessBins + bin];
    if ((up < 255u && tables.threshold[up + 1u] < bin_end(bin)) ||
        (down < 255u && tables.threshold[down + 1u] < -bin_start(bin))) {
      return false;
    }
  }
  return true;
}

/* The bin of a number from -1 to 1. */
MU_MATH uint32_t guess_bin(float a) {
  const uint32_t bits = float_bits(a);
  const uint32_t top = (bits & 0x7fffffffu) >> kGuessShift;
  const uint32_t bin = top > kFirstBin ? top - kFirstBin : 0u;
  return bin + ((bits >> 31) != 0u ? kGuessBins : 0u);
}

/* dynamic_encode(map, x, scale) of a = x / scale. */
MU_MATH uint32_t guessed_code(const DynamicTables& tables, float a) {
  const uint32_t code = tables.guess[guess_bin(a)];
  return code + (tables.threshold[code] < a ? 1u : 0u);
}

}  // namespace muonium

#endif
