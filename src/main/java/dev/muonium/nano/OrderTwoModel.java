package dev.muonium.nano;

/**
 * The byte model of order 2: what follows two bytes, counted in a text and backed off to shorter contexts. A yardstick for what a trained model
 * has learned beyond letter statistics.
 *
 * <p>Interpolated as by Witten and Bell: {@code p(c|ab) = (n(abc) + t(ab)·p(c|b)) / (n(ab) + t(ab))}, where {@code n} counts and
 * {@code t(ab)} is the number of different bytes seen after {@code ab}; likewise from {@code p(c|b)} to {@code p(c)} to 1/256. (Witten,
 * Bell: The zero-frequency problem, 1991.)
 */
final class OrderTwoModel {
    private static final int BYTES = 256;

    /** Counts of {@code abc} at {@code a·65536 + b·256 + c}; 64 MiB, for the time of the comparison. */
    private final int[] triples = new int[BYTES * BYTES * BYTES];

    private final int[] pairs = new int[BYTES * BYTES];
    private final int[] singles = new int[BYTES];
    private final double[] single = new double[BYTES];
    private final double[] pair = new double[BYTES * BYTES];
    private final int[] afterPair = new int[BYTES * BYTES];
    private final int[] kindsAfterPair = new int[BYTES * BYTES];

    OrderTwoModel(byte[] text) {
        count(text);
        interpolate(singles, 0, single, 0, uniform());
        for (int b = 0; b < BYTES; b++) {
            interpolate(pairs, b * BYTES, pair, b * BYTES, single);
        }
        for (int i = 0; i < triples.length; i++) {
            afterPair[i / BYTES] += triples[i];
            kindsAfterPair[i / BYTES] += triples[i] > 0 ? 1 : 0;
        }
    }

    private void count(byte[] text) {
        int context = 0;
        for (int i = 0; i < text.length; i++) {
            int c = Byte.toUnsignedInt(text[i]);
            singles[c]++;
            context = ((context << 8) | c) & 0xFFFFFF;
            if (i >= 1) {
                pairs[context & 0xFFFF]++;
            }
            if (i >= 2) {
                triples[context]++;
            }
        }
    }

    private static double[] uniform() {
        double[] even = new double[BYTES];
        java.util.Arrays.fill(even, 1.0 / BYTES);
        return even;
    }

    private static void interpolate(int[] counts, int from, double[] out, int to, double[] shorter) {
        long total = 0;
        int kinds = 0;
        for (int c = 0; c < BYTES; c++) {
            total += counts[from + c];
            kinds += counts[from + c] > 0 ? 1 : 0;
        }
        for (int c = 0; c < BYTES; c++) {
            out[to + c] = total == 0 ? shorter[c] : (counts[from + c] + kinds * shorter[c]) / (total + kinds);
        }
    }

    /** {@code p(c|ab)}. */
    double probability(int a, int b, int c) {
        int context = a * BYTES + b;
        double shorter = pair[b * BYTES + c];
        int total = afterPair[context];
        int kinds = kindsAfterPair[context];
        return total == 0 ? shorter : (triples[context * BYTES + c] + kinds * shorter) / (total + kinds);
    }

    /** Mean of {@code -ln p} over a text from its third byte on, in nats per byte; the text has at least three. */
    double crossEntropy(byte[] text) {
        if (text.length < 3) {
            throw new IllegalArgumentException(
                    "a text of " + text.length + " bytes is too short; at least 3 are needed");
        }
        double sum = 0;
        for (int i = 2; i < text.length; i++) {
            sum -= Math.log(probability(
                    Byte.toUnsignedInt(text[i - 2]), Byte.toUnsignedInt(text[i - 1]), Byte.toUnsignedInt(text[i])));
        }
        return sum / (text.length - 2);
    }
}
