package dev.muonium.device;

/** The checks that a batch of matrix products passes on every device. */
final class BatchSpec {
    private BatchSpec() {}

    /**
     * Refuses what no device could do: no products, more than a 32-bit count holds, matrices that lie backwards, and results
     * that are written more than once.
     */
    static int requireBatch(MatmulSpec spec, long count, long aStride, long bStride, long cStride) {
        if (count < 1 || count > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "count is " + count + "; a batch has from 1 to " + Integer.MAX_VALUE + " products");
        }
        requireNotNegative("aStride", aStride);
        requireNotNegative("bStride", bStride);
        requireNotNegative("cStride", cStride);
        long cExtent = extent(spec.m(), spec.n(), spec.ldc());
        // Interleaved columns (a stride within a row) are the one other arrangement in which no two results meet.
        boolean interleaved = cStride >= spec.n() && cStride * (count - 1) + spec.n() <= spec.ldc();
        if (count > 1 && cStride < cExtent && !interleaved) {
            throw new IllegalArgumentException("cStride is " + cStride + ", but a result of " + spec.m() + "×"
                    + spec.n() + " with ldc " + spec.ldc() + " has " + cExtent
                    + " elements from its first to its last, so that two results would overlap");
        }
        requireCountable("aStride", aStride, count);
        requireCountable("bStride", bStride, count);
        requireCountable("cStride", cStride, count);
        return (int) count;
    }

    /** Elements from a matrix's first to its last; the largest number if there are more. */
    static long extent(long rows, long cols, long ld) {
        return rows - 1 > (Long.MAX_VALUE - cols) / ld ? Long.MAX_VALUE : (rows - 1) * ld + cols;
    }

    private static void requireNotNegative(String name, long value) {
        if (value < 0) {
            throw new IllegalArgumentException(name + " is " + value + "; it must not be negative");
        }
    }

    private static void requireCountable(String name, long stride, long count) {
        if (count > 1 && stride > Long.MAX_VALUE / (count - 1)) {
            throw new IllegalArgumentException(
                    name + " is " + stride + "; with " + count + " matrices the last lies beyond a 64-bit count");
        }
    }
}
