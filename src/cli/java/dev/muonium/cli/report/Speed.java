package dev.muonium.cli.report;

import java.util.Arrays;

/**
 * Step times of two trainers whose steps took turns in one JVM, so that both met the same machine.
 *
 * @param pairs how many pairs of steps were timed
 * @param medianRatio the median over the pairs of INT8's time by FP32's; below 1, INT8 is faster
 * @param lowerQuartile of the same ratios
 * @param upperQuartile of the same ratios
 */
public record Speed(int pairs, double medianRatio, double lowerQuartile, double upperQuartile) {
    /**
     * @param ratios one per pair; at least one
     * @return their number, median and quartiles
     */
    public static Speed of(double[] ratios) {
        double[] sorted = ratios.clone();
        Arrays.sort(sorted);
        return new Speed(sorted.length, quantile(sorted, 0.5), quantile(sorted, 0.25), quantile(sorted, 0.75));
    }

    /** The median of some values, of which there is at least one. */
    public static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return quantile(sorted, 0.5);
    }

    /** Linear between the two values that the rank lies between. */
    private static double quantile(double[] sorted, double fraction) {
        double rank = fraction * (sorted.length - 1);
        int below = (int) rank;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (rank - below) * (sorted[above] - sorted[below]);
    }
}
