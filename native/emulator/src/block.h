/* block.h - runs a kernel: block after block, the threads of a block as fibers that change only at barriers. */
#ifndef MUONIUM_EMULATOR_BLOCK_H
#define MUONIUM_EMULATOR_BLOCK_H

#include <cstdint>

#include "emulated_launch.h"

namespace muonium::emulator {

/* Runs all blocks of the launch on the calling thread; the caller holds the one lock. */
void run_grid(const Launch& launch, const char* name);

/* The name of the kernel that runs now, or null. */
const char* running_kernel();

}  // namespace muonium::emulator

#endif
