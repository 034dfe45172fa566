package dev.muonium.jmh;

/**
 * An array cut into one part per thread: as few parts as possible, so that a copy of one is long enough for stores that bypass the
 * cache. The optimizers cut finer.
 *
 * @param elements of the array
 * @param count the number of parts
 */
record Parts(long elements, int count) {
    /** The largest block of any format. */
    private static final long ALIGNMENT = 2048;

    long begin(int part) {
        long size = Math.ceilDiv(Math.ceilDiv(elements, count), ALIGNMENT) * ALIGNMENT;
        return Math.min(part * size, elements);
    }

    long end(int part) {
        return begin(part + 1);
    }
}
