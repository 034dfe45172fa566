/* shared_storage.h - the static __shared__ variables of a library of kernels: its thread-local storage. */
#ifndef MUONIUM_EMULATOR_SHARED_STORAGE_H
#define MUONIUM_EMULATOR_SHARED_STORAGE_H

#include "emulated_launch.h"

namespace muonium::emulator {

struct SharedStorage {
  char* begin;
  size_t bytes;
};

/* The calling thread's storage for the kernel's library. */
SharedStorage shared_storage(const Launch& launch);

}  // namespace muonium::emulator

#endif
