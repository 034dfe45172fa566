package dev.muonium.lowrank;

import java.util.Random;

/** A matrix {@code Σ σ_k·u_k·v_kᵀ} of known singular values and random directions, in FP64. */
final class Spectrum {
    private final int rows;
    private final int cols;
    private final double[] sizes;
    private final double[][] u;
    private final double[][] v;

    private Spectrum(int rows, int cols, double[] sizes, double[][] u, double[][] v) {
        this.rows = rows;
        this.cols = cols;
        this.sizes = sizes;
        this.u = u;
        this.v = v;
    }

    int rows() {
        return rows;
    }

    int cols() {
        return cols;
    }

    double[] sizes() {
        return sizes;
    }

    static Spectrum of(long seed, int rows, int cols, double... sizes) {
        Random random = new Random(seed);
        return new Spectrum(
                rows, cols, sizes, directions(random, rows, sizes.length), directions(random, cols, sizes.length));
    }

    private static double[][] directions(Random random, int extent, int count) {
        double[][] columns = new double[count][];
        for (int k = 0; k < count; k++) {
            columns[k] = random.doubles(extent, -1, 1).toArray();
        }
        ReferenceOrthonormal.columns(columns, random.nextLong());
        return columns;
    }

    /** {@code first·ratio^k}. */
    static double[] geometric(int count, double first, double ratio) {
        double[] sizes = new double[count];
        for (int k = 0; k < count; k++) {
            sizes[k] = first * Math.pow(ratio, k);
        }
        return sizes;
    }

    /** Row-major, multiplied by {@code scale}, in FP32. */
    float[] values(double scale) {
        float[] values = new float[rows * cols];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                double sum = 0;
                for (int k = 0; k < sizes.length; k++) {
                    sum += sizes[k] * u[k][i] * v[k][j];
                }
                values[i * cols + j] = (float) (scale * sum);
            }
        }
        return values;
    }

    /** The singular vectors of the smaller side: what a projection is to span. */
    double[][] onSmallerSide() {
        return rows <= cols ? u : v;
    }
}
