/* launch.h - starting a kernel. */
#ifndef MUONIUM_CUDA_LAUNCH_H
#define MUONIUM_CUDA_LAUNCH_H

#include "cuda/device.h"

#if defined(MU_EMULATED)
#include <emulated_launch.h>
#endif

namespace muonium::cuda {

/* What a block gets without asking; above it the kernel's limit must be raised first. */
inline constexpr size_t kSharedWithoutAsking = 48 * 1024;

#if !defined(MU_EMULATED)
template <class... P>
cudaError_t start(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, P... values) {
  /* One more than there are, for an array cannot be empty. */
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes, stream);
}
#endif

/*
 * Puts the kernel into the stream; its arguments are converted to the parameters' types here and copied. A launch that is
 * refused says so at once, what goes wrong in the kernel shows at a later synchronization. A kernel that asks for more shared
 * memory than it gets without asking asks for the same in every call: its limit belongs to the kernel, not to the launch.
 */
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel takes as many arguments as it has parameters");
#if defined(MU_EMULATED)
  return ::muonium::emulator::launch<P...>(kernel, grid, block, shared_bytes, stream, static_cast<P>(arguments)...);
#else
  if (shared_bytes > kSharedWithoutAsking) {
    const cudaError_t raised =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes));
    if (raised != cudaSuccess) {
      return raised;
    }
  }
  return start<P...>(kernel, grid, block, shared_bytes, stream, static_cast<P>(arguments)...);
#endif
}

}  // namespace muonium::cuda

#endif
