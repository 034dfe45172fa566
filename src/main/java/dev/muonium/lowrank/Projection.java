package dev.muonium.lowrank;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A projection as it is saved.
 *
 * @param name of the matrix
 * @param rows of P: the smaller side of the matrix
 * @param rank columns of P
 * @param elements of the matrix
 * @param lookedAt the optimizer's steps when a new subspace was computed last; -1 for never
 * @param values P, row-major FP32
 * @param masterWeights FP32 weights, where they are kept beside BF16 ones
 */
public record Projection(
        String name,
        long rows,
        int rank,
        long elements,
        long lookedAt,
        MemorySegment values,
        @Nullable MemorySegment masterWeights) {}
