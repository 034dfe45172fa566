package dev.muonium.jmh.numerics;

/** {@code ‖x - y‖/‖y‖} over several arrays that are taken together. */
final class Distance {
    private double difference;
    private double norm;

    void add(float[] x, double[] y) {
        for (int i = 0; i < y.length; i++) {
            difference += (x[i] - y[i]) * (x[i] - y[i]);
            norm += y[i] * y[i];
        }
    }

    void add(float[] x, float[] y) {
        for (int i = 0; i < y.length; i++) {
            double d = (double) x[i] - y[i];
            difference += d * d;
            norm += (double) y[i] * y[i];
        }
    }

    double value() {
        return norm == 0 ? 0 : Math.sqrt(difference / norm);
    }
}
