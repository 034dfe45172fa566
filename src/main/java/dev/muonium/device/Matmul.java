package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/**
 * A matrix product that is ready to run: made once by {@link Device#matmul}, run any number of times. Belongs to its device, which
 * closes it.
 */
public interface Matmul {
    /** What it computes. */
    MatmulSpec spec();

    /**
     * Runs the product on the calling thread alone; allocates nothing after the worker's first run.
     *
     * <p>A product is given addresses and does not hold its operands: closing the arena, or the tensor, of one of them in another thread while this
     * runs is not refused, and the product then reads or writes freed memory. Wait for the run to end before closing them.
     *
     * @param worker the calling worker's number (see {@link Task}); different workers may run one product at the same time
     * @param a the segment that holds A; off-heap
     * @param aOffset where A begins in {@code a}, in elements
     * @param b the segment that holds B
     * @param bOffset where B begins in {@code b}, in elements
     * @param c the segment that holds C; overlaps neither A nor B
     * @param cOffset where C begins in {@code c}, in elements
     * @throws IllegalArgumentException if a matrix does not lie within its segment, or C is read-only
     * @throws IllegalStateException if the device, or the arena of a matrix, was closed before the call
     */
    void run(int worker, MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset);
}
