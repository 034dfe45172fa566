/* context.cpp - contexts: which backend, device, stream and tier a call goes to. */
#include <cstdlib>

#include "abi/arguments.h"
#include "backend_library.h"
#include "cpu/tiers.h"
#include "failure.h"

namespace muonium {
namespace {

mu_status open_cpu(int32_t device, const void* stream, mu_tier tier, mu_context* context) {
  if (device != 0 || stream != nullptr) {
    return fail(MU_INVALID_ARGUMENT, "mu_context_create: the CPU is device 0 without a stream, not device %d%s",
                static_cast<int>(device), stream != nullptr ? " with a stream" : "");
  }
  if (tier < MU_TIER_AUTO || tier > MU_TIER_AVX512) {
    return fail(MU_INVALID_ARGUMENT, "mu_context_create: tier is %d, not from 0 (auto) to 3 (avx512)",
                static_cast<int>(tier));
  }
  const mu_backend_table* table = cpu::table_of(tier);
  if (table == nullptr) {
    return fail(MU_UNSUPPORTED, "mu_context_create: this processor cannot run the tier %s; its best is %s",
                mu_tier_name(tier), mu_tier_name(cpu::best_tier()));
  }
  *context = mu_context{table, nullptr, tier == MU_TIER_AUTO ? cpu::best_tier() : tier};
  return MU_OK;
}

mu_status open_cuda(const char* path, int32_t device, void* stream, mu_context* context) {
  if (path == nullptr) {
    return fail(MU_INVALID_ARGUMENT, "mu_context_create: backend_path is NULL; CUDA needs the path of its library");
  }
  if (device < 0) {
    return fail(MU_INVALID_ARGUMENT, "mu_context_create: device is %d, not an ordinal from 0",
                static_cast<int>(device));
  }
  const mu_backend_table* table = nullptr;
  const mu_status found = open_backend_library(path, &table);
  if (found != MU_OK) {
    return found;
  }
  void* state = nullptr;
  const mu_status opened = table->open(device, stream, &state);
  if (opened == MU_OK) {
    *context = mu_context{table, state, MU_TIER_AUTO};
  }
  return opened;
}

}  // namespace
}  // namespace muonium

using muonium::Arguments;
using muonium::fail;

mu_status mu_context_create(mu_backend backend, const char* backend_path, int32_t device, void* stream, mu_tier tier,
                            mu_context** context) {
  const Arguments check("mu_context_create");
  if (!check.pointer(context, alignof(mu_context*), "context")) {
    return MU_INVALID_ARGUMENT;
  }
  if (backend != MU_BACKEND_CPU && backend != MU_BACKEND_CUDA) {
    return fail(MU_INVALID_ARGUMENT, "mu_context_create: backend is %d, not MU_BACKEND_CPU (0) or MU_BACKEND_CUDA (1)",
                static_cast<int>(backend));
  }
  /* Not new: the C++ runtime's would bring its unwinder along, which asks for a younger glibc. */
  mu_context* fresh = static_cast<mu_context*>(std::malloc(sizeof(mu_context)));
  if (fresh == nullptr) {
    return fail(MU_OUT_OF_MEMORY, "mu_context_create: no memory for a context of %zu bytes", sizeof(mu_context));
  }
  const mu_status status = backend == MU_BACKEND_CPU ? muonium::open_cpu(device, stream, tier, fresh)
                                                     : muonium::open_cuda(backend_path, device, stream, fresh);
  if (status == MU_OK) {
    *context = fresh;
  } else {
    std::free(fresh);
  }
  return status;
}

mu_status mu_context_destroy(mu_context* context) {
  if (context == nullptr) {
    return MU_OK;
  }
  const mu_status status = context->table->close != nullptr ? context->table->close(context->state) : MU_OK;
  std::free(context);
  return status;
}

mu_tier mu_context_tier(const mu_context* context) {
  return context != nullptr ? context->tier : MU_TIER_AUTO;
}

int64_t mu_context_device_bytes(const mu_context* context) {
  const bool holds_some = context != nullptr && context->table->device_bytes != nullptr;
  return holds_some ? context->table->device_bytes(context->state) : 0;
}
