/* cuda_runtime.h - in place of CUDA's, when kernels are compiled for the emulator. */
#ifndef MUONIUM_EMULATED_CUDA_RUNTIME_H
#define MUONIUM_EMULATED_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#include "emulated_language.h"

#endif
