package dev.muonium.jmh.schedules;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * How near to orthogonal a result is.
 *
 * @param quantiles of its singular values: the least, 1 %, 5 %, the median, 95 %, the largest
 * @param rms root of the mean square of their distances from 1
 * @param cosine between the result and the polar factor {@code U·Vᵀ} of what was orthogonalized
 * @param error {@code ‖O - U·Vᵀ‖/‖U·Vᵀ‖}
 */
record Figures(double[] quantiles, double rms, double cosine, double error) {
    private static final double[] AT = {0, 0.01, 0.05, 0.5, 0.95, 1};

    /** @param inner the inner product of the result and the polar factor */
    static Figures of(double[] sigma, double inner) {
        double[] sorted = sigma.clone();
        Arrays.sort(sorted);
        double[] quantiles = new double[AT.length];
        for (int i = 0; i < AT.length; i++) {
            double position = AT[i] * (sorted.length - 1);
            int below = (int) position;
            int above = Math.min(below + 1, sorted.length - 1);
            quantiles[i] = sorted[below] + (position - below) * (sorted[above] - sorted[below]);
        }
        double distance = 0;
        double square = 0;
        for (double value : sigma) {
            distance += (value - 1) * (value - 1);
            square += value * value;
        }
        double n = sigma.length;
        return new Figures(
                quantiles,
                Math.sqrt(distance / n),
                inner / Math.sqrt(n * square),
                Math.sqrt(Math.max(0, square - 2 * inner + n) / n));
    }

    /** Of several results, each figure for itself. */
    static Figures mean(List<Figures> all) {
        double[] quantiles = new double[AT.length];
        double rms = 0;
        double cosine = 0;
        double error = 0;
        for (Figures one : all) {
            for (int i = 0; i < quantiles.length; i++) {
                quantiles[i] += one.quantiles[i] / all.size();
            }
            rms += one.rms / all.size();
            cosine += one.cosine / all.size();
            error += one.error / all.size();
        }
        return new Figures(quantiles, rms, cosine, error);
    }

    /** The cells of a table's row. */
    String cells() {
        StringBuilder cells = new StringBuilder();
        for (double quantile : quantiles) {
            cells.append(String.format(Locale.ROOT, " %.3f |", quantile));
        }
        return cells.append(String.format(Locale.ROOT, " %.3f | %.4f | %.3f |", rms, cosine, error))
                .toString();
    }
}
