/* muonium_emulator.h - what tests may ask of the emulator, as C functions of its libcudart. */
#ifndef MUONIUM_EMULATOR_H
#define MUONIUM_EMULATOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MU_EMULATOR_CONTROL __attribute__((visibility("default")))

/* The next call of this function of the runtime or of cuBLAS fails with this error (a cudaError_t or cublasStatus_t). */
MU_EMULATOR_CONTROL void mu_emulator_fail_next(const char* function, int error);
/* The next kernel that runs faults: cudaErrorIllegalAddress at the next synchronization and from every call after it. */
MU_EMULATOR_CONTROL void mu_emulator_fault_next_kernel(void);
/* Forgets faults, failures to come and counts; memory and streams stay. */
MU_EMULATOR_CONTROL void mu_emulator_reset(void);
/*
 * 1: kernels and copies may be given the host's memory as the device's, and work runs at once, not when somebody waits for
 * it: for tests of single kernels. 0, as at the beginning unless MU_EMULATOR_HOST_POINTERS=1: such a pointer is a fault.
 */
MU_EMULATOR_CONTROL void mu_emulator_allow_host_pointers(int allow);

/*
 * 0, as at the beginning: streams that nobody waits for run as late as they can, within a graph as well. 1: whenever a stream is waited for, the
 * others run first, as far as events let them. A copy that lacks an event goes wrong in one of the two.
 */
MU_EMULATOR_CONTROL void mu_emulator_run_ahead(int ahead);

/* Kernels that have run (calls of cuBLAS apart), and those of a name such as "quantize_linear", whatever the template. */
MU_EMULATOR_CONTROL int64_t mu_emulator_launches(void);
MU_EMULATOR_CONTROL int64_t mu_emulator_kernel_count(const char* name);
/* Calls that entered the runtime or cuBLAS under this name. */
MU_EMULATOR_CONTROL int64_t mu_emulator_call_count(const char* function);
/* Bytes of device memory that are allocated now, on all devices; and allocations ever made. */
MU_EMULATOR_CONTROL int64_t mu_emulator_live_bytes(void);
MU_EMULATOR_CONTROL int64_t mu_emulator_allocations(void);
/* Work that is in streams and has not run. */
MU_EMULATOR_CONTROL int64_t mu_emulator_pending(void);

#ifdef __cplusplus
}
#endif

#endif
