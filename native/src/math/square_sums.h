/*
 * square_sums.h - sums of squares in double with one order for all tiers: element i of a range is added to lane i % 32,
 * and the lanes are folded in halves. A product of two floats is exact in double, so fused or not makes no difference.
 */
#ifndef MUONIUM_MATH_SQUARE_SUMS_H
#define MUONIUM_MATH_SQUARE_SUMS_H

#include "math/portable.h"

namespace muonium {

inline constexpr int kSumLanes = 32;

MU_MATH double fold_lanes(double (&lanes)[kSumLanes]) {
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) {
      lanes[j] += lanes[j + width];
    }
  }
  return lanes[0];
}

}  // namespace muonium

#endif
