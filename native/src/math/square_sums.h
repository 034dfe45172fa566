/*
 * square_sums.h - sums of squares with one order for all tiers. In double, element i of a range is added to lane i % 32,
 * and the lanes are folded in halves. A product of two floats is exact in double, so fused or not makes no difference.
 */
#ifndef MUONIUM_MATH_SQUARE_SUMS_H
#define MUONIUM_MATH_SQUARE_SUMS_H

#include "math/portable.h"

namespace muonium {

inline constexpr int kSumLanes = 32;

template <int count>
MU_MATH double fold_lanes(double (&lanes)[count]) {
  for (int width = count / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) {
      lanes[j] += lanes[j + width];
    }
  }
  return lanes[0];
}

/*
 * The sum for which u, fresh from the registers, can afford no conversion of each element to double: runs of 64 elements
 * (the last is filled up with zeros), whose squares are first added in FP32. Element i of a run goes to lane i % 16, where
 * each is added by one fused operation; the lanes are folded to eight, and these are added to eight sums in double.
 * Where one of the eight is not a normal float, as when a square overflows or all are 0, all of the run is added in
 * double instead, element i to sum i % 8. So the sum is finite if and only if every element is.
 *
 * It is within 2^-21 of the exact one, relatively: a square goes through five roundings, each by 2^-24 at most of what it
 * gives; or, while a lane is subnormal, by 2^-150, eight times at most in one of the eight, which is 2^-126 or more.
 */
inline constexpr int kRun = 64;
inline constexpr int kRunLanes = 16;
inline constexpr int kRunSums = 8;

[[maybe_unused, gnu::noinline]] static void add_run_in_double(double (&sums)[kRunSums], const float (&x)[kRun]) {
  double lanes[kRunSums];
  memcpy(lanes, sums, sizeof lanes);
  for (int i = 0; i < kRun; i += kRunSums) {
    for (int j = 0; j < kRunSums; ++j) {
      lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
    }
  }
  memcpy(sums, lanes, sizeof lanes);
}

MU_MATH void add_run(double (&sums)[kRunSums], const float (&x)[kRun]) {
  float squares[kRunLanes];
  for (int i = 0; i < kRunLanes; ++i) {
    squares[i] = x[i] * x[i];
    for (int j = i + kRunLanes; j < kRun; j += kRunLanes) {
      squares[i] = fused(x[j], x[j], squares[i]);
    }
  }
  bool normal = true;
  for (int i = 0; i < kRunSums; ++i) {
    squares[i] += squares[i + kRunSums];
    normal = normal && squares[i] >= __FLT_MIN__ && squares[i] <= __FLT_MAX__;
  }
  if (!normal) {
    add_run_in_double(sums, x);
    return;
  }
  for (int i = 0; i < kRunSums; ++i) {
    sums[i] += static_cast<double>(squares[i]);
  }
}

}  // namespace muonium

#endif
