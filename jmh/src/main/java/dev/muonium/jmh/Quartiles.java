package dev.muonium.jmh;

import java.util.Arrays;
import java.util.Locale;

/** The median of some figures and the quartiles about it, interpolated linearly. */
record Quartiles(double lower, double median, double upper) {
    static Quartiles of(double... figures) {
        double[] sorted = figures.clone();
        Arrays.sort(sorted);
        return new Quartiles(at(sorted, 0.25), at(sorted, 0.5), at(sorted, 0.75));
    }

    private static double at(double[] sorted, double share) {
        double place = share * (sorted.length - 1);
        int below = (int) place;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%.2f (%.2f to %.2f)", median, lower, upper);
    }
}
