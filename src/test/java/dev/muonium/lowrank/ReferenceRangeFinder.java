package dev.muonium.lowrank;

import java.util.Random;

/** Subspace iteration as it is written, in FP64: the oracle of {@link RangeFinder}. */
final class ReferenceRangeFinder {
    private ReferenceRangeFinder() {}

    /** {@code smaller side × rank}, row-major, from a random sketch. */
    static float[] basis(Spectrum spectrum, int rank, int iterations) {
        boolean left = spectrum.rows() <= spectrum.cols();
        int small = Math.min(spectrum.rows(), spectrum.cols());
        int large = Math.max(spectrum.rows(), spectrum.cols());
        float[] values = spectrum.values(1);
        double[][] g = new double[small][large];
        for (int i = 0; i < small; i++) {
            for (int j = 0; j < large; j++) {
                g[i][j] = left ? values[i * large + j] : values[j * small + i];
            }
        }
        Random random = new Random(11);
        double[][] onLarge = new double[rank][];
        for (int k = 0; k < rank; k++) {
            onLarge[k] = random.doubles(large, -1, 1).toArray();
        }
        double[][] onSmall = new double[rank][small];
        for (int pass = 0; pass <= iterations; pass++) {
            for (int k = 0; k < rank; k++) {
                for (int i = 0; i < small; i++) {
                    onSmall[k][i] = 0;
                    for (int j = 0; j < large; j++) {
                        onSmall[k][i] += g[i][j] * onLarge[k][j];
                    }
                }
            }
            ReferenceOrthonormal.columns(onSmall, pass);
            for (int k = 0; k < rank; k++) {
                for (int j = 0; j < large; j++) {
                    onLarge[k][j] = 0;
                    for (int i = 0; i < small; i++) {
                        onLarge[k][j] += g[i][j] * onSmall[k][i];
                    }
                }
            }
            ReferenceOrthonormal.columns(onLarge, pass);
        }
        float[] basis = new float[small * rank];
        for (int i = 0; i < small; i++) {
            for (int k = 0; k < rank; k++) {
                basis[i * rank + k] = (float) onSmall[k][i];
            }
        }
        return basis;
    }
}
