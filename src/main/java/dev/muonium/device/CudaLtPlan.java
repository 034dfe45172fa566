package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/**
 * A product as cublasLt knows it: descriptors, and the algorithm that its heuristics chose, which are asked once.
 *
 * @param operation the {@code cublasLtMatmulDesc_t}
 * @param a the layout of cublasLt's A
 * @param b of its B
 * @param d of its C and D
 * @param algorithm a {@code cublasLtMatmulAlgo_t}
 */
record CudaLtPlan(
        Fp8Scaling scaling,
        MemorySegment operation,
        MemorySegment a,
        MemorySegment b,
        MemorySegment d,
        MemorySegment algorithm) {}
