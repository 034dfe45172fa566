package dev.muonium.lowrank;

import dev.muonium.memory.CounterRandom;

/**
 * Orthonormal columns that span what given columns span: modified Gram-Schmidt in FP64, twice, by which {@code ‖QᵀQ - I‖} is about 1e-15 whatever the
 * condition of the columns. A column that depends on those before it is replaced by a random one.
 */
final class ReferenceOrthonormal {
    /** What is left of a column, as a part of what it was, where rounding has all of it. */
    private static final double DEPENDENT = 1e-10;

    private ReferenceOrthonormal() {}

    /**
     * Makes the columns orthonormal in place.
     *
     * @param columns finite; as many as the rows of a column, or fewer
     * @param seed of the random columns
     */
    static void columns(double[][] columns, long seed) {
        double[] sizes = new double[columns.length];
        for (int j = 0; j < columns.length; j++) {
            sizes[j] = norm(columns[j]);
        }
        for (int pass = 0; pass < 2; pass++) {
            for (int j = 0; j < columns.length; j++) {
                normalize(columns, j, pass == 0 ? sizes[j] : 1, seed);
                for (int k = j + 1; k < columns.length; k++) {
                    remove(columns[j], columns[k]);
                }
            }
        }
    }

    private static void normalize(double[][] columns, int j, double size, long seed) {
        double[] column = columns[j];
        double norm = norm(column);
        for (int attempt = 0; !(norm > DEPENDENT * size) || norm == 0; attempt++) {
            for (int i = 0; i < column.length; i++) {
                column[i] = CounterRandom.normal(seed, ((long) j << 32) | attempt, i);
            }
            size = norm(column);
            for (int twice = 0; twice < 2; twice++) {
                for (int k = 0; k < j; k++) {
                    remove(columns[k], column);
                }
            }
            norm = norm(column);
        }
        for (int i = 0; i < column.length; i++) {
            column[i] /= norm;
        }
    }

    private static void remove(double[] unit, double[] from) {
        double dot = 0;
        for (int i = 0; i < unit.length; i++) {
            dot += unit[i] * from[i];
        }
        for (int i = 0; i < unit.length; i++) {
            from[i] -= dot * unit[i];
        }
    }

    /** Scaled, so that neither huge nor tiny values are lost in their squares. */
    private static double norm(double[] column) {
        double largest = 0;
        for (double value : column) {
            largest = Math.max(largest, Math.abs(value));
        }
        if (largest == 0) {
            return 0;
        }
        double sum = 0;
        for (double value : column) {
            double scaled = value / largest;
            sum += scaled * scaled;
        }
        return largest * Math.sqrt(sum);
    }
}
