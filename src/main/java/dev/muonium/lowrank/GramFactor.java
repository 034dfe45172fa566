package dev.muonium.lowrank;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * What makes columns Y more orthonormal, from their Gram matrix {@code A = YᵀY} alone: an upper triangular M, so that {@code Y·M} has the columns' span.
 * With {@code D² = diag A} and the Cholesky factor {@code RᵀR = D⁻¹·A·D⁻¹ + s·I}, it is {@code M = D⁻¹·R⁻¹}, in FP64.
 *
 * <p>A was summed in FP32, so what it says of directions smaller than {@code √s} of the columns is rounding. Without the shift s the factor would not
 * exist or amplify that; with it, such directions grow by {@code 1/√s} at most, several hundred, and the next Gram matrix sees more of them (Fukaya et al.:
 * Shifted Cholesky QR for computing the QR factorization of ill-conditioned matrices, 2020).
 */
final class GramFactor {
    /** How much smaller than the largest column one is that counts as 0. */
    private static final double NOTHING = 1e-12;

    private final int rank;
    private final double[][] factor;
    private final double[] sizes;
    private final BitSet missing = new BitSet();
    private double deviation;
    private boolean shifted;

    private GramFactor(int rank) {
        this.rank = rank;
        this.factor = new double[rank][rank];
        this.sizes = new double[rank];
    }

    /**
     * Factors a Gram matrix.
     *
     * @param gram {@code rank × rank}, row-major; its upper triangle is read
     * @param dropDependent whether a column that depends on those before it, as far as FP32 can tell, is dropped; else the shift serves all
     * @throws IllegalStateException if it is not finite
     */
    static GramFactor of(float[] gram, int rank, boolean dropDependent) {
        GramFactor made = new GramFactor(rank);
        made.measure(gram);
        double shift = Math.scalb(Math.sqrt(rank), -20);
        made.load(gram, 0);
        if (!made.decompose(100 * shift, dropDependent)) {
            made.shifted = true;
            do {
                made.load(gram, shift);
                shift *= 4;
            } while (!made.decompose(0, false));
        }
        return made;
    }

    private void measure(float[] gram) {
        for (float each : gram) {
            if (!Float.isFinite(each)) {
                throw new IllegalStateException("a product of two columns of a subspace is " + each);
            }
        }
        double largest = 0;
        for (int j = 0; j < rank; j++) {
            double square = gram[j * rank + j];
            sizes[j] = Math.sqrt(square);
            largest = Math.max(largest, sizes[j]);
            deviation = Math.max(deviation, Math.abs(square - 1));
        }
        for (int j = 0; j < rank; j++) {
            if (sizes[j] <= NOTHING * largest) {
                missing.set(j);
            }
        }
    }

    private void load(float[] gram, double shift) {
        for (int i = 0; i < rank; i++) {
            factor[i][i] = 1 + shift;
            for (int j = i + 1; j < rank; j++) {
                boolean known = !missing.get(i) && !missing.get(j);
                double cosine = known ? gram[i * rank + j] / (sizes[i] * sizes[j]) : 0;
                factor[i][j] = cosine;
                deviation = Math.max(deviation, Math.abs(cosine));
            }
        }
    }

    /** R in place of the upper triangle; false if a square of its diagonal is not above {@code least}. */
    private boolean decompose(double least, boolean dropDependent) {
        for (int k = 0; k < rank; k++) {
            double[] row = factor[k];
            if (!(row[k] > least)) {
                if (!dropDependent) {
                    return false;
                }
                drop(k);
                continue;
            }
            double pivot = Math.sqrt(row[k]);
            for (int j = k; j < rank; j++) {
                row[j] /= pivot;
            }
            for (int i = k + 1; i < rank; i++) {
                subtract(row[i], row, factor[i], i);
            }
        }
        return true;
    }

    private void drop(int k) {
        missing.set(k);
        for (int i = 0; i < k; i++) {
            factor[i][k] = 0;
        }
        factor[k][k] = 1;
        for (int j = k + 1; j < rank; j++) {
            factor[k][j] = 0;
        }
    }

    /** {@code to -= times·from}, from a place on. */
    private static void subtract(double times, double[] from, double[] to, int begin) {
        for (int j = begin; j < to.length; j++) {
            to[j] -= times * from[j];
        }
    }

    /** The columns that are 0, or were dropped: {@code Y·M} is 0 there, and something else must be put in their place. */
    BitSet missing() {
        return missing;
    }

    /** Whether {@code Y·M} is orthonormal but for rounding: no column is missing, and no shift was needed. */
    boolean isComplete() {
        return !shifted && missing.isEmpty();
    }

    /** The largest entry of {@code A - I}, or of {@code D⁻¹·A·D⁻¹ - I} where that is larger. */
    double deviation() {
        return deviation;
    }

    /**
     * {@code size·M}, row-major, in FP32.
     *
     * @return null if an entry would be beyond FP32
     */
    float @Nullable [] inverse(double size) {
        double[][] inverse = new double[rank][rank];
        for (int i = rank - 1; i >= 0; i--) {
            inverse[i][i] = 1;
            for (int k = i + 1; k < rank; k++) {
                subtract(factor[i][k], inverse[k], inverse[i], k);
            }
            for (int j = i; j < rank; j++) {
                inverse[i][j] /= factor[i][i];
            }
        }
        float[] rounded = new float[rank * rank];
        for (int i = 0; i < rank; i++) {
            double scale = missing.get(i) ? 0 : size / sizes[i];
            for (int j = i; j < rank; j++) {
                double value = missing.get(j) ? 0 : scale * inverse[i][j];
                if (!(Math.abs(value) <= Float.MAX_VALUE)) {
                    return null;
                }
                rounded[i * rank + j] = (float) value;
            }
        }
        return rounded;
    }
}
