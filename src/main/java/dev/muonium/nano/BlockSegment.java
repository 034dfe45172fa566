package dev.muonium.nano;

import dev.muonium.activations.CodedActivations;
import org.jspecify.annotations.Nullable;

/**
 * Consecutive blocks whose activations exist at the same time. Forward goes through all segments; backward, from the last to the first,
 * has the activations of a segment as forward left them only in the last one. Those of the others it gets from what waited in FP8, or computes again
 * from the segment's input, or both.
 *
 * @param first number of its first block
 * @param end number of the block behind its last one
 * @param coded what waits in FP8 from forward to backward; null for nothing
 * @param recomputed whether backward runs forward through the segment again
 */
record BlockSegment(int first, int end, @Nullable CodedActivations coded, boolean recomputed) {}
