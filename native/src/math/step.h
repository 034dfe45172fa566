/*
 * step.h - what the sweep over all gradients decides for the whole step: the norm, the factor of clipping, and whether
 * the step is taken at all.
 */
#ifndef MUONIUM_MATH_STEP_H
#define MUONIUM_MATH_STEP_H

#include "math/portable.h"
#include "muonium.h"

namespace muonium {

/* The sweep so far, its gradients included in ascending order. */
struct StepSweep {
  double sum = 0.0;
  int64_t first_non_finite = -1;
};

/* Whether a gradient whose squares add up to sum can be used. A NaN compares as false. */
MU_MATH bool is_usable(double sum, double gradient_scale, double limit) {
  return double_root(sum) * gradient_scale <= limit;
}

MU_MATH void include(StepSweep& sweep, const mu_step& step, int64_t index, double sum, double limit) {
  sweep.sum += sum;
  if (sweep.first_non_finite < 0 && !is_usable(sum, step.gradient_scale, limit)) {
    sweep.first_non_finite = index;
  }
}

MU_MATH void decide(const StepSweep& sweep, mu_step& step) {
  step.norm = double_root(sweep.sum) * step.gradient_scale;
  const double ratio = step.clip_norm / (step.norm + step.clip_epsilon);
  step.clip = ratio >= 1.0 ? 1.0 : ratio;
  step.scale = step.gradient_scale * step.clip;
  step.first_non_finite = sweep.first_non_finite;
  if (step.first_non_finite < 0 && !(static_cast<float>(step.scale) > 0.0F)) {
    step.first_non_finite = INT64_MAX; /* no gradient's fault, but nothing would be left of any of them */
  }
}

/* Nothing is changed by a step with a gradient that cannot be used. */
MU_MATH bool is_left_out(const mu_step& step) {
  return step.first_non_finite >= 0;
}

}  // namespace muonium

#endif
