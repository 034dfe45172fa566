package dev.muonium.nano;

import dev.muonium.device.Workers;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Initial weights: normal, with a deviation by what the parameter is. Matrices that write into the residual stream begin at 0, so that every
 * block begins as the identity, and an untied head near 0, so that all tokens begin equally likely.
 */
final class InitialWeights {
    /** Elements of a task. */
    private static final int CHUNK = 1 << 16;

    private InitialWeights() {}

    /** The standard deviation of a parameter's initial weights. */
    static double deviation(ParameterDescription parameter, GptConfig config) {
        return switch (parameter.kind()) {
            case EMBEDDING -> config.weightTied() ? 0.02 : 1;
            case HEAD -> 0.001;
            case VECTOR ->
                throw new IllegalArgumentException(
                        "parameter '" + parameter.name() + "' is a vector; the GPT has none");
            case MATRIX ->
                parameter.name().endsWith("attn.out") || parameter.name().endsWith("mlp.down")
                        ? 0
                        : 1 / Math.sqrt(config.dModel());
        };
    }

    /**
     * Fills a parameter.
     *
     * @param index of the parameter in the model: with the seed and the element's index the key of its random number
     */
    static void fill(Workers workers, Tensor weights, double deviation, long seed, int index) {
        if (deviation == 0) {
            weights.segment().fill((byte) 0);
            return;
        }
        MemorySegment segment = weights.segment();
        long elements = weights.elements();
        workers.run(Math.toIntExact((elements + CHUNK - 1) / CHUNK), (task, worker) -> {
            long end = Math.min(elements, (task + 1L) * CHUNK);
            for (long i = (long) task * CHUNK; i < end; i++) {
                segment.setAtIndex(
                        ValueLayout.JAVA_FLOAT, i, (float) (deviation * CounterRandom.normal(seed, index, i)));
            }
        });
    }
}
