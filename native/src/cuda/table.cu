/* table.cu - the one symbol that libmuonium_cuda.so exports: its table of kernels. */
#include "cuda/table.h"

namespace {

/* A kernel that the backend lacks is a link error (-Wl,--no-undefined). */
const mu_backend_table table = {
    MU_ABI_VERSION,
    static_cast<int32_t>(sizeof(mu_backend_table)),
    "cuda",
    muonium::cuda::open,
    muonium::cuda::close,
    muonium::cuda::device_bytes,
#define MU_FILL(name) muonium::cuda::name,
    MU_KERNELS(MU_FILL)
#undef MU_FILL
};

}  // namespace

extern "C" MU_API const mu_backend_table* mu_backend_table_v1(const mu_backend_host* host) {
  /* Another release's host is not called; it refuses this table by its version. */
  if (host != nullptr && host->abi_version == MU_ABI_VERSION &&
      host->host_bytes == static_cast<int32_t>(sizeof(mu_backend_host))) {
    muonium::cuda::set_host(host);
  }
  return &table;
}
