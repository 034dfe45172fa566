/* panels.cu - what CUDA does not have: panels are how the CPU's products read their operands. */
#include "cuda/state.h"
#include "cuda/table.h"

namespace muonium::cuda {

mu_status pack_panels(const mu_context*, float, const void*, int64_t, int64_t, int64_t, void*, void*, int64_t, int64_t) {
  return fail(MU_UNSUPPORTED, "mu_pack_panels: panels are of the CPU; on CUDA use mu_symmetric_product on dense matrices");
}

mu_status multiply_panels(const mu_context*, const mu_panel_product*, int64_t, int64_t, int64_t, int64_t) {
  return fail(MU_UNSUPPORTED, "mu_multiply_panels: panels are of the CPU; on CUDA use mu_symmetric_product on dense matrices");
}

}  // namespace muonium::cuda
