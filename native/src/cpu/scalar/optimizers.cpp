/* optimizers.cpp - Muon's momentum and update and AdamW, plainly. */
#include "cpu/choose.h"
#include "cpu/scalar/state.h"
#include "math/optimizer.h"
#include "math/rounding.h"
#include "math/square_sums.h"

namespace muonium::cpu::MU_TIER {
namespace {

/* Weights in any of their forms: FP32; bf16, rounded by a key or to nearest; bf16 beside an FP32 master. */
struct Weights {
  void* w;
  mu_type type;
  float* master;
  const mu_rounding* rounding;

  /* at: where it stands in w; element: its index in the parameter, which is where it stands in master. */
  float read(int64_t at, int64_t element) const {
    if (type == MU_F32) {
      return static_cast<const float*>(w)[at];
    }
    return master != nullptr ? master[element] : to_float(static_cast<const bf16*>(w)[at]);
  }

  void write(int64_t at, int64_t element, float value) const {
    if (type == MU_F32) {
      static_cast<float*>(w)[at] = value;
    } else if (master != nullptr) {
      master[element] = value;
      static_cast<bf16*>(w)[at] = round_to_bf16(value);
    } else if (rounding != nullptr) {
      const uint64_t index = static_cast<uint64_t>(element);
      const RoundingKey key = rounding_key(*rounding, static_cast<uint32_t>(index >> 32));
      static_cast<bf16*>(w)[at] =
          round_to_bf16_stochastically(value, rounding_bits(key, static_cast<uint32_t>(index)));
    } else {
      static_cast<bf16*>(w)[at] = round_to_bf16(value);
    }
  }
};

}  // namespace

mu_status muon_momentum(const mu_context*, mu_format format, int64_t block, const void* gradient,
                        mu_type gradient_type, float gradient_scale, void* momentum, float* scales, void* update,
                        mu_type update_type, double beta, int32_t nesterov, int64_t begin, int64_t end,
                        double* sum_squares) {
  const MomentumConstants constants = momentum_constants(gradient_scale, beta, nesterov);
  return for_state(format, momentum, scales, [&](const auto& state) {
    return for_type(gradient_type, [&]<class G>(G) {
      const G* g = static_cast<const G*>(gradient);
      double sums[kRunSums] = {};
      float m[kMaxBlock];
      for (int64_t i = begin; i < end; i += block) {
        const int64_t count = end - i < block ? end - i : block;
        const float decay = constants.beta * state.scale(i / block);
        float run[kRun];
        for (int64_t j = 0; j < count; ++j) {
          const MomentumStep<float> step = momentum_step(constants, state.stored(i + j), decay, to_float(g[i + j]));
          m[j] = step.momentum;
          run[j % kRun] = step.update;
          if (update_type == MU_BF16) {
            static_cast<bf16*>(update)[i + j] = round_to_bf16(step.update);
          } else {
            static_cast<float*>(update)[i + j] = step.update;
          }
          if (j % kRun == kRun - 1 || j == count - 1) {
            memset(run + j % kRun + 1, 0, static_cast<size_t>(kRun - 1 - j % kRun) * sizeof(float));
            add_run(sums, run);
          }
        }
        state.write(i / block, i, count, m);
      }
      *sum_squares = fold_lanes(sums);
      return MU_OK;
    });
  });
}

mu_status muon_update(const mu_context*, void* w, mu_type w_type, int64_t w_ld, float* master, const void* o,
                      mu_type o_type, int64_t o_ld, float decay, float rate, const mu_rounding* rounding,
                      int64_t cols, int64_t row_begin, int64_t row_end) {
  const Weights weights{w, w_type, master, rounding};
  return for_type(o_type, [&]<class O>(O) {
    for (int64_t i = row_begin; i < row_end; ++i) {
      const O* direction = static_cast<const O*>(o) + i * o_ld;
      for (int64_t j = 0; j < cols; ++j) {
        const float old = weights.read(i * w_ld + j, i * cols + j);
        weights.write(i * w_ld + j, i * cols + j, muon_weight(decay, rate, old, to_float(direction[j])));
      }
    }
    return MU_OK;
  });
}

mu_status adamw(const mu_context*, const mu_adamw_params* params, int64_t block, void* w, mu_type w_type,
                float* master, const void* gradient, mu_type gradient_type, mu_format m_format, void* m,
                float* m_scales, mu_format v_format, void* v, float* v_scales, const mu_rounding* rounding,
                int64_t begin, int64_t end) {
  const AdamwConstants constants = adamw_constants(*params);
  const Weights weights{w, w_type, master, rounding};
  return for_state(m_format, m, m_scales, [&](const auto& m_state) {
    return for_second_moment(v_format, v, v_scales, [&](const auto& v_state) {
      return for_type(gradient_type, [&]<class G>(G) {
        const G* g = static_cast<const G*>(gradient);
        float fresh_m[kMaxBlock];
        float fresh_v[kMaxBlock];
        for (int64_t i = begin; i < end; i += block) {
          const int64_t count = end - i < block ? end - i : block;
          read(m_state, i / block, i, count, fresh_m);
          read(v_state, i / block, i, count, fresh_v);
          for (int64_t j = 0; j < count; ++j) {
            const AdamwStep<float> step =
                adamw_step(constants, weights.read(i + j, i + j), to_float(g[i + j]), fresh_m[j], fresh_v[j]);
            weights.write(i + j, i + j, step.weight);
            fresh_m[j] = step.m;
            fresh_v[j] = step.v;
          }
          m_state.write(i / block, i, count, fresh_m);
          v_state.write(i / block, i, count, fresh_v);
        }
        return MU_OK;
      });
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
