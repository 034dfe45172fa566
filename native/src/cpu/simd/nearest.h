/*
 * nearest.h - how the vector kernels find the nearest entry of a dynamic map without searching.
 *
 * Above 0 a map is seven decades, and within a decade its entries are evenly spaced, up to float rounding. So the rank
 * of a magnitude t (0 for the entry 0, 1 for the least entry above it, ...) is first + floor(t * slope + offset), cut at
 * last, with the four numbers of the decade that t is in; which one that is, comparisons with the borders tell. The
 * floor is in doubt only where t * slope + offset is next to an integer, that is, where t is next to a threshold: those
 * vectors are searched (see store_nearest). The borders are exact thresholds and never in doubt.
 */
#ifndef MUONIUM_CPU_SIMD_NEAREST_H
#define MUONIUM_CPU_SIMD_NEAREST_H

#include "math/format.h"

namespace muonium::cpu {

inline constexpr int kSegments = 8; /* what is nearest to 0, and seven decades */
/* Closer than this to an integer is in doubt; four times what float arithmetic and the entries' rounding can amount to. */
inline constexpr float kDoubt = 0x1p-13f;

struct alignas(32) NearestTable {
  float border[kSegments]; /* border[d]: the threshold that segment d ends with; the last is that between the last two entries */
  float slope[kSegments];
  float offset[kSegments];
  int32_t first[kSegments];
  int32_t last[kSegments];
  float cap; /* the last entry of the last decade: above it, at 1, the floor would be in doubt */
};

constexpr NearestTable make_nearest_table(const DynamicMap& map) {
  NearestTable table{};
  const float* value = map.value + map.zero; /* by rank */
  const float* threshold = map.threshold + map.zero;
  int count = map.zero > 0 ? 1 : 2; /* entries of the first decade; each decade has twice those of the one before */
  int rank = 1;
  table.border[0] = threshold[0];
  table.slope[0] = 0.5f / threshold[0]; /* from 1/2 at 0 to 1, in doubt, at the border */
  table.offset[0] = 0.5f;
  for (int d = 1; d < kSegments; ++d) {
    const double low = static_cast<double>(value[rank]);
    const double step = count > 1 ? (static_cast<double>(value[rank + count - 1]) - low) / (count - 1) : 0.0;
    table.slope[d] = static_cast<float>(count > 1 ? 1.0 / step : 0.0);
    table.offset[d] = static_cast<float>(count > 1 ? 0.5 - low / step : 0.5);
    table.first[d] = rank;
    table.last[d] = rank + count - 1;
    table.border[d] = threshold[rank + count - 1];
    rank += count;
    count *= 2;
  }
  table.cap = value[rank - 1];
  return table;
}

/* Whether every threshold inside a decade is in doubt, with a factor of 4 to spare. */
constexpr bool doubts_suffice(const NearestTable& table, const DynamicMap& map) {
  const float* threshold = map.threshold + map.zero;
  for (int d = 1; d < kSegments; ++d) {
    for (int rank = table.first[d]; rank < table.last[d]; ++rank) {
      const double x = static_cast<double>(threshold[rank]) * static_cast<double>(table.slope[d]) +
                       static_cast<double>(table.offset[d]);
      const double off = x - (rank - table.first[d] + 1);
      if (off > static_cast<double>(kDoubt) / 4 || off < -static_cast<double>(kDoubt) / 4) {
        return false;
      }
    }
  }
  return true;
}

inline constexpr NearestTable kNearestSigned = make_nearest_table(kDynamicSigned);
inline constexpr NearestTable kNearestUnsigned = make_nearest_table(kDynamicUnsigned);
static_assert(doubts_suffice(kNearestSigned, kDynamicSigned) && doubts_suffice(kNearestUnsigned, kDynamicUnsigned));
static_assert(kNearestSigned.last[7] == 127 && kNearestUnsigned.last[7] == 254);

}  // namespace muonium::cpu

#endif
