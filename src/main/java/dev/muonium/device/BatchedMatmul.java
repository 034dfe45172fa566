package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/**
 * Matrix products of one specification over matrices that lie a fixed number of elements apart, ready to run: made by
 * {@link Device#batchedMatmul}. Belongs to its device, which closes it.
 */
public interface BatchedMatmul {
    /** What each product computes. */
    MatmulSpec spec();

    /** The number of products. */
    long count();

    /**
     * Runs all products, on all workers of the device: not to be called by one of their tasks. On a GPU they may not be done when
     * this returns.
     *
     * @param a the segment that holds the first A
     * @param aOffset where it begins in {@code a}, in elements
     * @param b the segment that holds the first B
     * @param bOffset where it begins in {@code b}, in elements
     * @param c the segment that holds the first C; no C overlaps another, nor any A or B
     * @param cOffset where it begins in {@code c}, in elements
     * @throws IllegalArgumentException if a matrix does not lie within its segment, or C is read-only
     * @throws IllegalStateException if the device, or the arena of a matrix, was closed before the call
     */
    void run(MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset);
}
