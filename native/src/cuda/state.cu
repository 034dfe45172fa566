#include "cuda/state.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

#include "cuda/table.h"

namespace muonium::cuda {
namespace {

const mu_backend_host* host = nullptr;

mu_status status_of(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return MU_OK;
    case cudaErrorMemoryAllocation:
      return MU_OUT_OF_MEMORY;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoKernelImageForDevice:
      return MU_BACKEND_UNAVAILABLE;
    default:
      return MU_BACKEND_FAILURE;
  }
}

}  // namespace

void set_host(const mu_backend_host* given) {
  host = given;
}

mu_status fail(mu_status status, const char* format, ...) {
  char text[768];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  if (host != nullptr) {
    host->fail(text);
  }
  return status;
}

mu_status check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) {
    return MU_OK;
  }
  /* Else whoever asks for the thread's last error next takes it for their own. */
  static_cast<void>(cudaGetLastError());
  return fail(status_of(error), "%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

mu_status enter(const mu_context* context, const char* what, State** state) {
  *state = static_cast<State*>(context->state);
  return check(cudaSetDevice((*state)->device), what);
}

mu_status scratch(State& state, size_t bytes, const char* what, void** memory) {
  if (bytes > state.scratch_bytes) {
    void* fresh = nullptr;
    const mu_status status = check(cudaMalloc(&fresh, bytes), what);
    if (status != MU_OK) {
      return status;
    }
    void* const former = state.scratch;
    state.scratch = fresh;
    state.scratch_bytes = bytes;
    if (former != nullptr) {
      /* Frees only after the work that may use it. */
      const mu_status waited = check(cudaStreamSynchronize(state.stream), what);
      const mu_status freed = check(cudaFree(former), what);
      if (waited != MU_OK || freed != MU_OK) {
        return waited != MU_OK ? waited : freed;
      }
    }
  }
  *memory = state.scratch;
  return MU_OK;
}

mu_status open(int32_t device, void* stream, void** state) {
  const char* what = "mu_context_create";
  mu_status status = check(cudaSetDevice(device), what);
  if (status != MU_OK) {
    return status;
  }
  State* fresh = static_cast<State*>(std::malloc(sizeof(State)));
  if (fresh == nullptr) {
    return fail(MU_OUT_OF_MEMORY, "%s: no memory for the state of a CUDA context", what);
  }
  *fresh = State{device, static_cast<cudaStream_t>(stream), stream == nullptr, nullptr, 0};
  if (fresh->owns_stream) {
    status = check(cudaStreamCreateWithFlags(&fresh->stream, cudaStreamNonBlocking), what);
    if (status != MU_OK) {
      std::free(fresh);
      return status;
    }
  }
  /* Before anything is captured into a graph, where memory cannot be allocated. */
  void* unused = nullptr;
  status = scratch(*fresh, kScratchFromTheStart, what, &unused);
  if (status != MU_OK) {
    if (fresh->owns_stream) {
      cudaStreamDestroy(fresh->stream);
    }
    std::free(fresh);
    return status;
  }
  *state = fresh;
  return MU_OK;
}

mu_status close(void* opened) {
  const char* what = "mu_context_destroy";
  State* state = static_cast<State*>(opened);
  const mu_status device = check(cudaSetDevice(state->device), what);
  const mu_status waited = device != MU_OK ? device : check(cudaStreamSynchronize(state->stream), what);
  const mu_status freed = check(cudaFree(state->scratch), what);
  const mu_status closed = state->owns_stream ? check(cudaStreamDestroy(state->stream), what) : MU_OK;
  std::free(state);
  for (const mu_status status : {waited, freed, closed}) {
    if (status != MU_OK) {
      return status;
    }
  }
  return MU_OK;
}

int64_t device_bytes(const void* opened) {
  return static_cast<int64_t>(static_cast<const State*>(opened)->scratch_bytes);
}

}  // namespace muonium::cuda
