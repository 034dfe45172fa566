/* state.h - what a context of the CUDA backend holds, and how an error of the runtime becomes a status with a sentence. */
#ifndef MUONIUM_CUDA_STATE_H
#define MUONIUM_CUDA_STATE_H

#include <cuda_runtime.h>

#include "backend.h"

namespace muonium::cuda {

struct State {
  int device;
  cudaStream_t stream;
  bool owns_stream;
  /* Device memory for partial results, for the kernels of this stream only; it grows on demand. */
  void* scratch;
  size_t scratch_bytes;
};

/* What the sums over one array need; more is allocated when a kernel asks for it. */
inline constexpr size_t kScratchFromTheStart = 8 * 1024;

/* Keeps the text for mu_last_error() and returns status. */
[[gnu::format(printf, 2, 3)]] mu_status fail(mu_status status, const char* format, ...);

/* MU_OK for cudaSuccess; else a status and a sentence that begins with `what` ("mu_quantize: the kernel's launch"). */
mu_status check(cudaError_t error, const char* what);

/*
 * The state of a context, with its device made the calling thread's: the current device belongs to the thread, and the
 * caller may have changed it. Every entry of the table begins with this.
 */
mu_status enter(const mu_context* context, const char* what, State** state);

/* At least `bytes` of scratch in *memory, aligned to 256. Grows the scratch, which waits for the stream, when it must. */
mu_status scratch(State& state, size_t bytes, const char* what, void** memory);

}  // namespace muonium::cuda

#endif
