package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Workers;
import dev.muonium.memory.CounterRandom;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.List;

/**
 * Initial weights: normal, with a deviation by what the parameter is. Matrices that write into the residual stream begin at 0, so that every
 * block begins as the identity, and an untied head near 0, so that all tokens begin equally likely.
 */
final class InitialWeights {
    /** Elements of a task. */
    private static final int CHUNK = 1 << 16;

    /** Elements that are copied to a device at a time. */
    private static final long PIECE = 1 << 22;

    private InitialWeights() {}

    /** The standard deviation of a parameter's initial weights. */
    static double deviation(ParameterDescription parameter, GptConfig config) {
        return switch (parameter.kind()) {
            case EMBEDDING -> config.weightTied() ? 0.02 : 1;
            case HEAD -> 0.001;
            case VECTOR, STACK, CONVOLUTION ->
                throw new IllegalArgumentException(
                        "parameter '" + parameter.name() + "' is a " + parameter.kind() + "; the GPT has none");
            case MATRIX ->
                parameter.name().endsWith("attn.out") || parameter.name().endsWith("mlp.down")
                        ? 0
                        : 1 / Math.sqrt(config.dModel());
        };
    }

    /**
     * Fills all parameters. What Java cannot write in place is computed on all processors of the host and copied in pieces, so that the host
     * never holds more than one of them.
     *
     * @param seed with a parameter's place in the model and an element's index the key of its random number
     */
    static void fill(Device device, GptConfig config, List<GptParameter> parameters, long seed) {
        if (device.memory().isHost()) {
            for (int index = 0; index < parameters.size(); index++) {
                Tensor weights = parameters.get(index).weights();
                Normal normal = new Normal(deviation(parameters.get(index).description(), config), seed, index);
                write(device.workers(), normal, 0, weights.elements(), weights);
            }
            return;
        }
        ElementType type = parameters.getFirst().weights().type();
        int processors = Math.min(1024, Runtime.getRuntime().availableProcessors());
        try (Workers host = Workers.create(processors);
                Tensor piece = device.memory()
                        .allocateStaging(Purpose.DATA, "a piece of the initial weights", type, Shape.of(PIECE))) {
            for (int index = 0; index < parameters.size(); index++) {
                Tensor weights = parameters.get(index).weights();
                double deviation = deviation(parameters.get(index).description(), config);
                upload(device.memory(), host, new Normal(deviation, seed, index), piece, weights);
            }
        }
    }

    private static void upload(DeviceMemory memory, Workers host, Normal normal, Tensor piece, Tensor weights) {
        if (normal.deviation == 0) {
            memory.zero(weights.segment(), 0, weights.byteSize());
            return;
        }
        long size = weights.type().byteSize();
        for (long begin = 0; begin < weights.elements(); begin += PIECE) {
            long count = Math.min(PIECE, weights.elements() - begin);
            write(host, normal, begin, count, piece);
            memory.copyIn(piece.segment(), 0, weights.segment(), begin * size, count * size);
        }
    }

    /** The distribution of a parameter, as a function of the element's index. */
    private record Normal(double deviation, long seed, int index) {
        float at(long element) {
            return deviation == 0 ? 0 : (float) (deviation * CounterRandom.normal(seed, index, element));
        }
    }

    /** Elements {@code begin .. begin + count - 1} of a parameter, to the beginning of {@code out}. */
    private static void write(Workers workers, Normal normal, long begin, long count, Tensor out) {
        workers.run(Math.toIntExact((count + CHUNK - 1) / CHUNK), (task, worker) -> {
            long end = Math.min(count, (task + 1L) * CHUNK);
            for (long i = (long) task * CHUNK; i < end; i++) {
                out.setFloat(i, normal.at(begin + i));
            }
        });
    }
}
