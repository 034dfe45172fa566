package dev.muonium.lowrank;

import dev.muonium.memory.Shape;

/** What GaLore needs beside projections and what is in rank space, as formulas: for planning. All arrays are FP32. */
public final class LowRankMemory {
    /** Bands of less than 1 MiB would be more calls than work. */
    private static final long LEAST_BAND = 1 << 18;

    private LowRankMemory() {}

    /**
     * Elements of the workspace through which a matrix's update, and a BF16 gradient, pass in bands of rows: {@code (m + n)·r}, but at least
     * 2<sup>18</sup> and at most {@code m·n}. A {@link LowRankOptimizer} holds one, of its largest matrix.
     *
     * @param matrix {@code m × n}
     * @param rank r
     */
    public static long workspaceElements(Shape matrix, int rank) {
        long sides = matrix.extent(0) + matrix.extent(1);
        return Math.min(matrix.elements(), Math.max(LEAST_BAND, sides * rank));
    }

    /** Rows of such a band. */
    static long bandRows(Shape matrix, int rank) {
        return workspaceElements(matrix, rank) / matrix.extent(1);
    }

    /**
     * Elements of each of the tensors that exist while a projection is computed: {@code min(m, n)·r}, {@code max(m, n)·r} and two of {@code r·r}.
     *
     * @param matrix {@code m × n}
     * @param rank r
     */
    public static long[] refreshElements(Shape matrix, int rank) {
        long r = rank;
        return new long[] {matrix.extent(0) * r, matrix.extent(1) * r, r * r, r * r};
    }
}
