#include "backend_library.h"

#include <dlfcn.h>

#include <cstring>

#include "failure.h"

namespace muonium {
namespace {

void keep_failure(const char* text) {
  fail(MU_BACKEND_FAILURE, "%s", text);
}

constexpr mu_backend_host host = {MU_ABI_VERSION, static_cast<int32_t>(sizeof(mu_backend_host)), keep_failure};

/* The name of the first kernel that the table lacks, or null. */
const char* missing_kernel(const mu_backend_table& table) {
#define MU_CHECK_ENTRY(name)    \
  if (table.name == nullptr) { \
    return #name;               \
  }
  MU_KERNELS(MU_CHECK_ENTRY)
#undef MU_CHECK_ENTRY
  return nullptr;
}

mu_status check_table(const char* path, const mu_backend_table* table) {
  if (table == nullptr) {
    return fail(MU_BACKEND_UNAVAILABLE, "mu_context_create: the backend %s gave no table of kernels", path);
  }
  if (table->abi_version != MU_ABI_VERSION) {
    return fail(MU_BACKEND_UNAVAILABLE,
                "mu_context_create: the backend %s was built for ABI %d, this libmuonium for ABI %d; install the two "
                "from the same release",
                path, static_cast<int>(table->abi_version), MU_ABI_VERSION);
  }
  if (table->table_bytes != static_cast<int32_t>(sizeof(mu_backend_table))) {
    return fail(MU_BACKEND_UNAVAILABLE,
                "mu_context_create: the table of the backend %s has %d bytes, this libmuonium's has %d; install the "
                "two from the same release",
                path, static_cast<int>(table->table_bytes), static_cast<int>(sizeof(mu_backend_table)));
  }
  if (table->open == nullptr || table->close == nullptr) {
    return fail(MU_BACKEND_UNAVAILABLE, "mu_context_create: the backend %s cannot open or close a device", path);
  }
  const char* missing = missing_kernel(*table);
  if (missing != nullptr) {
    return fail(MU_BACKEND_UNAVAILABLE, "mu_context_create: the backend %s lacks the kernel %s", path, missing);
  }
  return MU_OK;
}

}  // namespace

mu_status open_backend_library(const char* path, const mu_backend_table** table) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return fail(MU_BACKEND_UNAVAILABLE, "mu_context_create: the backend %s cannot be opened: %s", path,
                reason != nullptr ? reason : "no reason given");
  }
  void* symbol = dlsym(library, MU_BACKEND_TABLE_SYMBOL);
  if (symbol == nullptr) {
    const mu_status status = fail(MU_BACKEND_UNAVAILABLE,
                                  "mu_context_create: %s is not a backend of Muonium: it has no symbol %s", path,
                                  MU_BACKEND_TABLE_SYMBOL);
    dlclose(library);
    return status;
  }
  mu_backend_table_entry entry;
  static_assert(sizeof entry == sizeof symbol);
  std::memcpy(&entry, &symbol, sizeof entry);
  const mu_backend_table* found = entry(&host);
  const mu_status status = check_table(path, found);
  if (status == MU_OK) {
    *table = found;
  } else {
    dlclose(library);
  }
  return status;
}

}  // namespace muonium
