/* sums.h - the second half of a sum over many blocks of threads: their partial sums, added up in a fixed order. */
#ifndef MUONIUM_CUDA_SUMS_H
#define MUONIUM_CUDA_SUMS_H

#include "cuda/chunks.h"
#include "cuda/state.h"

namespace muonium::cuda {

/* The state's scratch, as room for the partial sums of one call: kSumBlocks doubles. */
mu_status partial_sums(State& state, const char* what, double** partial);

/* *sum <- partial[0] + ... + partial[count - 1], count at most kSumBlocks, put into the stream. */
mu_status add_partial_sums(State& state, const char* what, const double* partial, int64_t count, double* sum);

}  // namespace muonium::cuda

#endif
