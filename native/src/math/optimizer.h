/*
 * optimizer.h - the element-wise formulas of Muon and AdamW. F is float or a vector of floats with the same operators.
 * Every operation rounds once, to FP32, and what is fused is written so: all tiers and devices give the same bits.
 */
#ifndef MUONIUM_MATH_OPTIMIZER_H
#define MUONIUM_MATH_OPTIMIZER_H

#include "math/portable.h"
#include "muonium.h"

namespace muonium {

struct MomentumConstants {
  float beta;
  float inflow; /* (1 - beta) * gradient_scale, formed in double */
  bool nesterov;
};

MU_MATH MomentumConstants momentum_constants(float gradient_scale, double beta, int32_t nesterov) {
  return MomentumConstants{static_cast<float>(beta), static_cast<float>((1.0 - beta) * gradient_scale), nesterov != 0};
}

template <class F>
struct MomentumStep {
  F momentum;
  F update;
};

/* stored times decay is beta * m: of a quantized m the code and beta * scale, of FP32 itself and beta. */
template <class F>
MU_MATH MomentumStep<F> momentum_step(const MomentumConstants& c, F stored, F decay, F gradient) {
  const F inflow = F(c.inflow) * gradient;
  const F fresh = fused(stored, decay, inflow);
  return MomentumStep<F>{fresh, c.nesterov ? fused(F(c.beta), fresh, inflow) : fresh};
}

template <class F>
MU_MATH F muon_weight(float decay, float rate, F weight, F direction) {
  return F(decay) * weight - F(rate) * direction;
}

/* The parameters of mu_adamw, each combined in double and rounded once. */
struct AdamwConstants {
  float gradient_scale;
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float decay;              /* 1 - lr * weight_decay */
  float rate;               /* lr / bias_correction1 */
  float root_correction;    /* 1 / sqrt(bias_correction2) */
  float eps;
};

MU_MATH AdamwConstants adamw_constants(const mu_adamw_params& p) {
  return AdamwConstants{static_cast<float>(p.gradient_scale),
                        static_cast<float>(p.beta1),
                        static_cast<float>(1.0 - p.beta1),
                        static_cast<float>(p.beta2),
                        static_cast<float>(1.0 - p.beta2),
                        static_cast<float>(1.0 - p.lr * p.weight_decay),
                        static_cast<float>(p.lr / p.bias_correction1),
                        static_cast<float>(1.0 / double_root(p.bias_correction2)),
                        static_cast<float>(p.eps)};
}

template <class F>
struct AdamwStep {
  F weight;
  F m;
  F v;
};

template <class F>
MU_MATH AdamwStep<F> adamw_step(const AdamwConstants& c, F weight, F gradient, F m, F v) {
  const F g = F(c.gradient_scale) * gradient;
  const F fresh_m = F(c.beta1) * m + F(c.one_minus_beta1) * g;
  const F fresh_v = F(c.beta2) * v + F(c.one_minus_beta2) * (g * g);
  const F denominator = square_root(fresh_v) * F(c.root_correction) + F(c.eps);
  return AdamwStep<F>{F(c.decay) * weight - F(c.rate) * (fresh_m / denominator), fresh_m, fresh_v};
}

}  // namespace muonium

#endif
