package dev.muonium.cli.conform;

/** Distances between tensors in the Frobenius norm, in double. */
final class RelativeError {
    private RelativeError() {}

    /** {@code ‖x - reference‖ / ‖reference‖}; the bare distance where the reference is 0. */
    static double of(double[] x, double[] reference) {
        return ratio(distance(x, reference), norm(reference));
    }

    /** {@code ‖x - reference‖ / ‖reference - start‖}: the error as a part of the way that was gone. */
    static double ofDistanceMoved(double[] x, double[] reference, double[] start) {
        return ratio(distance(x, reference), distance(reference, start));
    }

    private static double ratio(double distance, double scale) {
        return scale == 0 ? distance : distance / scale;
    }

    private static double norm(double[] x) {
        double sum = 0;
        for (double value : x) {
            sum += value * value;
        }
        return Math.sqrt(sum);
    }

    private static double distance(double[] x, double[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += (x[i] - y[i]) * (x[i] - y[i]);
        }
        return Math.sqrt(sum);
    }
}
