package dev.muonium.nano;

import dev.muonium.memory.CounterRandom;
import java.util.Arrays;

/** Draws the next token from logits: {@code softmax(logits / temperature)} over the likeliest few. */
final class Sampler {
    private static final long STREAM = 0x5A3B1EL;

    private final double temperature;
    private final int topK;
    private final long seed;

    Sampler(double temperature, int topK, long seed) {
        if (!(temperature >= 0 && temperature <= 100)) {
            throw new IllegalArgumentException("the temperature is " + temperature + "; it must be from 0 to 100");
        }
        if (topK < 0) {
            throw new IllegalArgumentException("top-k is " + topK + "; it must be at least 0, which means all tokens");
        }
        this.temperature = temperature;
        this.topK = topK;
        this.seed = seed;
    }

    /**
     * @param draw the number of the draw, which with the seed decides it
     * @return a token; at temperature 0 the likeliest, the first of equals
     */
    int next(float[] logits, long draw) {
        int[] order = likeliestFirst(logits);
        if (temperature == 0) {
            return order[0];
        }
        int kept = topK == 0 ? order.length : Math.min(topK, order.length);
        double[] weights = new double[kept];
        for (int i = 0; i < kept; i++) {
            weights[i] = Math.exp((logits[order[i]] - (double) logits[order[0]]) / temperature);
        }
        double left = CounterRandom.uniform(seed, STREAM, draw)
                * Arrays.stream(weights).sum();
        for (int i = 0; i < kept; i++) {
            left -= weights[i];
            if (left < 0) {
                return order[i];
            }
        }
        return order[0];
    }

    /** Sorted as numbers that hold logit and index, so that a large vocabulary makes no object per token; equals keep their order. */
    private static int[] likeliestFirst(float[] logits) {
        long[] keys = new long[logits.length];
        for (int i = 0; i < keys.length; i++) {
            int bits = Float.floatToIntBits(logits[i]);
            int ascending = bits ^ ((bits >> 31) & Integer.MAX_VALUE); // ordered as Float.compare orders
            keys[i] = (long) ~ascending << Integer.SIZE | i;
        }
        Arrays.sort(keys);
        int[] order = new int[keys.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = (int) keys[i];
        }
        return order;
    }
}
