/* table.h - the kernels of the CUDA backend, with exactly the types that muonium.h declares. */
#ifndef MUONIUM_CUDA_TABLE_H
#define MUONIUM_CUDA_TABLE_H

#include "backend.h"

namespace muonium::cuda {

#define MU_DECLARE(name) decltype(mu_##name) name;
MU_KERNELS(MU_DECLARE)
#undef MU_DECLARE

mu_status open(int32_t device, void* stream, void** state);
mu_status close(void* opened);
int64_t device_bytes(const void* opened);
void set_host(const mu_backend_host* given);

}  // namespace muonium::cuda

#endif
