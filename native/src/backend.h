/*
 * backend.h - the one table of kernels that a backend is. Each tier of the CPU fills one; a backend library such as
 * libmuonium_cuda.so hands one back from mu_backend_table_v1. The functions have exactly the types that muonium.h
 * declares, and are called with arguments that the ABI has already checked.
 */
#ifndef MUONIUM_BACKEND_H
#define MUONIUM_BACKEND_H

#include "muonium.h"

/* Every kernel of the ABI, once: X(name) for mu_name. A line here makes each tier's table ask for it. */
#define MU_KERNELS(X)        \
  X(quantize)                \
  X(dequantize)              \
  X(fp8_operand)             \
  X(sum_squares)             \
  X(scale)                   \
  X(axpby)                   \
  X(mirror_upper)            \
  X(muon_momentum)           \
  X(muon_update)             \
  X(adamw)                   \
  X(rms_norm)                \
  X(rms_norm_backward)       \
  X(rotary_norm)             \
  X(rotary_norm_backward)    \
  X(softmax_causal)          \
  X(softmax_causal_backward) \
  X(head_dots)               \
  X(relu2)                   \
  X(relu2_backward)          \
  X(swiglu)                  \
  X(swiglu_backward)         \
  X(cross_entropy)           \
  X(cross_entropy_backward)  \
  X(gather_rows)             \
  X(scatter_add_rows)        \
  X(gradient_sweep)          \
  X(muon_momentum_many)      \
  X(muon_update_many)        \
  X(adamw_many)              \
  X(newton_schulz_begin)     \
  X(symmetric_product)       \
  X(scale_many)              \
  X(pack_panels)             \
  X(multiply_panels)         \
  X(attention)               \
  X(attention_backward)

struct mu_backend_table {
  int32_t abi_version; /* MU_ABI_VERSION of the header that the backend was compiled with */
  int32_t table_bytes; /* sizeof(mu_backend_table) of the same */
  const char* name;
  /* Opens the device; state goes to every kernel in its context. Both may be null where there is nothing to open. */
  mu_status (*open)(int32_t device, void* stream, void** state);
  mu_status (*close)(void* state);
  /* Bytes of device memory that the state holds; null where there are none. */
  int64_t (*device_bytes)(const void* state);
#define MU_TABLE_ENTRY(name) decltype(&mu_##name) name;
  MU_KERNELS(MU_TABLE_ENTRY)
#undef MU_TABLE_ENTRY
};

/* What a backend library may call: fail() keeps the text for mu_last_error() of the calling thread. */
struct mu_backend_host {
  int32_t abi_version;
  int32_t host_bytes;
  void (*fail)(const char* text);
};

/* The symbol that a backend library exports. */
extern "C" typedef const mu_backend_table* (*mu_backend_table_entry)(const mu_backend_host* host);
#define MU_BACKEND_TABLE_SYMBOL "mu_backend_table_v1"

struct mu_context {
  const mu_backend_table* table;
  void* state;
  mu_tier tier;
};

#endif
