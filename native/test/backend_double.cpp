/*
 * backend_double.cpp - a backend library for the tests: MU_DOUBLE says in which way it is wrong (see CMakeLists.txt).
 */
#include "backend.h"

#define MU_DOUBLE_right 0
#define MU_DOUBLE_stale 1
#define MU_DOUBLE_gap 2
#define MU_DOUBLE_short 3
#define MU_DOUBLE_empty 4
#define MU_DOUBLE_closed 5
#define MU_DOUBLE_stranger 6

namespace {

const mu_backend_host* host = nullptr;
int state_of_device = 0;

mu_status open_device(int32_t device, void*, void** state) {
  if (device != 0) {
    host->fail("there is no device 7");
    return MU_BACKEND_FAILURE;
  }
  *state = &state_of_device;
  return MU_OK;
}

mu_status close_device(void* state) {
  return state == &state_of_device ? MU_OK : MU_BACKEND_FAILURE;
}

/* The context brings the state that open_device made. */
mu_status sum_squares(const mu_context* context, const void*, mu_type, int64_t, int64_t, double* sum) {
  *sum = context->state == &state_of_device ? 4711.0 : 0.0;
  return MU_OK;
}

/* Any kernel that the tests do not call. */
template <class Kernel>
struct Unused;

template <class... Arguments>
struct Unused<mu_status (*)(Arguments...)> {
  static mu_status call(Arguments...) { return MU_UNSUPPORTED; }
};

mu_backend_table make_table() {
  mu_backend_table table = {};
  table.abi_version = MU_DOUBLE == MU_DOUBLE_stale ? 999 : MU_ABI_VERSION;
  table.table_bytes = static_cast<int32_t>(sizeof table) - (MU_DOUBLE == MU_DOUBLE_short ? 8 : 0);
  table.name = "double";
  table.open = open_device;
  table.close = MU_DOUBLE == MU_DOUBLE_closed ? nullptr : close_device;
#define MU_FILL(name) table.name = Unused<decltype(table.name)>::call;
  MU_KERNELS(MU_FILL)
#undef MU_FILL
  table.sum_squares = sum_squares;
  if (MU_DOUBLE == MU_DOUBLE_gap) {
    table.adamw = nullptr;
  }
  return table;
}

}  // namespace

#if MU_DOUBLE != MU_DOUBLE_stranger
extern "C" MU_API const mu_backend_table* mu_backend_table_v1(const mu_backend_host* given) {
  static const mu_backend_table table = make_table();
  host = given;
  return MU_DOUBLE == MU_DOUBLE_empty ? nullptr : &table;
}
#else
extern "C" MU_API const void* no_table() {
  host = nullptr;
  static const mu_backend_table table = make_table();
  return &table;
}
#endif
