/*
 * rounding.h - the counter-based generator behind stochastic rounding: 32 random bits as a function of the key (seed,
 * step, parameter) and the element's index, so that a result depends on neither threads nor the order of work.
 *
 * The key is whitened once per call to two words (the finalizer of SplitMix64). Per element it is the 32-bit finalizer
 * of MurmurHash3 with both words mixed in: two multiplications, which all tiers have for whole vectors. A block cipher
 * such as Philox costs ten times that, more than the pass it serves; rounding needs far less than its quality.
 */
#ifndef MUONIUM_MATH_ROUNDING_H
#define MUONIUM_MATH_ROUNDING_H

#include "math/portable.h"
#include "muonium.h"

namespace muonium {

/* For one run of 2^32 elements. */
struct RoundingKey {
  uint32_t before;
  uint32_t between;
};

MU_MATH uint64_t whiten(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

MU_MATH RoundingKey rounding_key(const mu_rounding& rounding, uint32_t element_high) {
  const uint64_t key = whiten(whiten(whiten(whiten(rounding.seed) ^ rounding.step) ^ rounding.parameter) ^ element_high);
  return RoundingKey{static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

MU_MATH uint32_t rounding_bits(RoundingKey key, uint32_t element_low) {
  uint32_t x = element_low ^ key.before;
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x += key.between;
  x *= 0xc2b2ae35u;
  x ^= x >> 16;
  return x;
}

}  // namespace muonium

#endif
