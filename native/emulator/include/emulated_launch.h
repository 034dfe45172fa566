/* emulated_launch.h - a kernel and its arguments, put into a stream. */
#ifndef MUONIUM_EMULATED_LAUNCH_H
#define MUONIUM_EMULATED_LAUNCH_H

#include <functional>
#include <type_traits>
#include <vector>

#include "cuda_runtime_api.h"
#include "emulated_language.h"

namespace muonium::emulator {

struct Launch {
  const void* kernel;
  dim3 grid;
  dim3 block;
  size_t shared_bytes;
  /* One thread of the kernel. */
  std::function<void()> body;
  /* The arguments that are pointers: they must not lead to the host's memory. */
  std::vector<const void*> pointers;
  /* The address of a variable that is __shared__ in the kernel's library. */
  void* (*shared_anchor)();
};

MU_EMULATOR_API cudaError_t submit(Launch launch, cudaStream_t stream);

inline void note_pointer(std::vector<const void*>& pointers, const void* value) {
  pointers.push_back(value);
}

template <class T>
void note(std::vector<const void*>& pointers, const T& value) {
  if constexpr (std::is_pointer_v<T>) {
    note_pointer(pointers, value);
  }
}

namespace {

/* Internal linkage: one per library, in that library's thread-local storage. */
[[maybe_unused]] void* shared_anchor() {
  static thread_local unsigned char anchor;
  return &anchor;
}

}  // namespace

template <class... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, P... values) {
  Launch launch = {reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, {}, {}, &shared_anchor};
  (note(launch.pointers, values), ...);
  launch.body = [kernel, values...] { kernel(values...); };
  return submit(std::move(launch), stream);
}

}  // namespace muonium::emulator

#endif
