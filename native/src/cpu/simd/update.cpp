/* update.cpp - Muon's step of the weights. */
#include "cpu/choose.h"
#include "cpu/simd/weights.h"
#include "math/optimizer.h"

namespace muonium::cpu::MU_TIER {

mu_status muon_update(const mu_context*, void* w, mu_type w_type, int64_t w_ld, float* master, const void* o,
                      mu_type o_type, int64_t o_ld, float decay, float rate, const mu_rounding* rounding,
                      int64_t cols, int64_t row_begin, int64_t row_end) {
  return for_weights(w, w_type, master, rounding, [&](const auto& weights) {
    return for_type(o_type, [&]<class O>(O) {
      for (int64_t i = row_begin; i < row_end; ++i) {
        const O* direction = static_cast<const O*>(o) + i * o_ld;
        const int64_t at = i * w_ld;
        const int64_t element = i * cols;
        int64_t j = 0;
        for (; j + kLanes <= cols; j += kLanes) {
          const F32x16 old = weights.read(at + j, element + j, kLanes);
          weights.write(at + j, element + j, muon_weight(decay, rate, old, load(direction + j)), kLanes);
        }
        if (j < cols) {
          const F32x16 old = weights.read(at + j, element + j, cols - j);
          weights.write(at + j, element + j, muon_weight(decay, rate, old, load_first(direction + j, cols - j)),
                        cols - j);
        }
      }
      return MU_OK;
    });
  });
}

}  // namespace muonium::cpu::MU_TIER
