package dev.muonium.activations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A multilayer perceptron of a caller's own, with and without recomputation. */
abstract class RecomputationContract {
    private static final int ROWS = 48;
    private static final int[] WIDTHS = {32, 64, 96, 48, 80, 16};

    /** Which layers keep their activations. */
    enum Keeping {
        ALL,
        NONE,
        EVERY_SECOND,
        LAST_ONLY;

        boolean keeps(int layer) {
            return switch (this) {
                case ALL -> true;
                case NONE -> false;
                case EVERY_SECOND -> layer % 2 == 0;
                case LAST_ONLY -> layer == WIDTHS.length - 2;
            };
        }
    }

    Device device;
    private Mlp mlp;

    protected abstract Device openDevice();

    @BeforeEach
    void open() {
        device = openDevice();
        mlp = new Mlp();
    }

    @AfterEach
    void close() {
        mlp.close();
        for (Purpose purpose : Purpose.values()) {
            assertEquals(0, purpose == Purpose.WORKSPACE ? 0 : device.ledger().bytes(purpose), purpose.name());
        }
        device.close();
    }

    /** {@code y = relu²(x·Wᵀ)}: what backward needs is {@code u = x·Wᵀ}. */
    private final class Layer implements Segment {
        private final int inputs;
        private final int outputs;
        private final Tensor weights;
        private final Tensor gradient;
        private final Tensor hidden;
        private int forwards;

        Layer(Random random, int inputs, int outputs) {
            this.inputs = inputs;
            this.outputs = outputs;
            this.weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(outputs, inputs));
            this.gradient = device.allocate(Purpose.GRADIENTS, "dw", ElementType.F32, Shape.of(outputs, inputs));
            this.hidden = device.allocate(Purpose.DATA, "y", ElementType.F32, Shape.of(ROWS, outputs));
            weights.copyFrom(noise(random, outputs * inputs, 1 / Math.sqrt(inputs)));
        }

        @Override
        public long inputElements() {
            return (long) ROWS * inputs;
        }

        @Override
        public long outputElements() {
            return (long) ROWS * outputs;
        }

        @Override
        public long activationElements() {
            return (long) ROWS * outputs;
        }

        @Override
        public void forward(MemorySegment input, @Nullable MemorySegment output, MemorySegment activations) {
            forwards++;
            multiply(MatmulSpec.f32(false, true, ROWS, outputs, inputs), input, weights.segment(), activations);
            if (output != null) {
                device.networkKernels().relu2(ElementType.F32, activations, output, 0, outputElements());
            }
        }

        @Override
        public void backward(
                MemorySegment input,
                MemorySegment activations,
                MemorySegment outputGradient,
                MemorySegment inputGradient) {
            device.networkKernels().relu2Backward(ElementType.F32, activations, outputGradient, 0, outputElements());
            multiply(
                    MatmulSpec.f32(true, false, outputs, inputs, ROWS).accumulating(),
                    activations,
                    input,
                    gradient.segment());
            multiply(
                    MatmulSpec.f32(false, false, ROWS, inputs, outputs), activations, weights.segment(), inputGradient);
        }

        private void multiply(MatmulSpec spec, MemorySegment a, MemorySegment b, MemorySegment c) {
            device.matmul(spec).run(0, a, 0, b, 0, c, 0);
        }
    }

    private final class Mlp implements AutoCloseable {
        final List<Layer> layers = new ArrayList<>();
        final Tensor input = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(ROWS, WIDTHS[0]));
        final Tensor outputGradient =
                device.allocate(Purpose.DATA, "dy", ElementType.F32, Shape.of(ROWS, WIDTHS[WIDTHS.length - 1]));
        final float[] wanted;

        Mlp() {
            Random random = new Random(1);
            for (int i = 0; i + 1 < WIDTHS.length; i++) {
                layers.add(new Layer(random, WIDTHS[i], WIDTHS[i + 1]));
            }
            input.copyFrom(noise(random, ROWS * WIDTHS[0], 1));
            wanted = noise(random, ROWS * WIDTHS[WIDTHS.length - 1], 1);
        }

        /** Output, gradient of the input, gradients of all weights, of one batch. */
        List<float[]> run(Recomputation layers) {
            outputGradient.copyFrom(wanted);
            float[] output = values(layers.forward(input.segment()), wanted.length);
            float[] inputGradient = values(layers.backward(outputGradient.segment()), (int) input.elements());
            return Stream.concat(Stream.of(output, inputGradient), gradients().stream())
                    .toList();
        }

        /** The same by hand: every array has memory of its own. */
        List<float[]> runByHand() {
            List<Tensor> arrays = new ArrayList<>();
            MemorySegment at = input.segment();
            for (Layer layer : layers) {
                arrays.add(device.allocate(Purpose.DATA, "u", ElementType.F32, Shape.of(layer.activationElements())));
                layer.forward(at, layer.hidden.segment(), arrays.getLast().segment());
                at = layer.hidden.segment();
            }
            float[] output = layers.getLast().hidden.toFloatArray();
            outputGradient.copyFrom(wanted);
            MemorySegment gradient = outputGradient.segment();
            for (int i = layers.size() - 1; i >= 0; i--) {
                Layer layer = layers.get(i);
                MemorySegment from =
                        i == 0 ? input.segment() : layers.get(i - 1).hidden.segment();
                Tensor next = device.allocate(Purpose.DATA, "dx", ElementType.F32, Shape.of(layer.inputElements()));
                layer.backward(from, arrays.get(i).segment(), gradient, next.segment());
                gradient = next.segment();
                arrays.add(next);
            }
            float[] inputGradient = arrays.getLast().toFloatArray();
            arrays.forEach(Tensor::close);
            return Stream.concat(Stream.of(output, inputGradient), gradients().stream())
                    .toList();
        }

        private List<float[]> gradients() {
            List<float[]> all = new ArrayList<>();
            for (Layer layer : layers) {
                all.add(layer.gradient.toFloatArray());
                layer.gradient.copyFrom(new float[layer.inputs * layer.outputs]);
            }
            return all;
        }

        private float[] values(MemorySegment segment, int count) {
            try (Tensor copy = device.allocate(Purpose.DATA, "copy", ElementType.F32, Shape.of(count))) {
                device.memory().copy(segment, 0, copy.segment(), 0, copy.byteSize());
                return copy.toFloatArray();
            }
        }

        @Override
        public void close() {
            for (Layer layer : layers) {
                layer.weights.close();
                layer.gradient.close();
                layer.hidden.close();
            }
            input.close();
            outputGradient.close();
        }
    }

    private static float[] noise(Random random, int count, double size) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (size * random.nextGaussian());
        }
        return values;
    }

    private Recomputation of(Keeping keeping) {
        return Recomputation.of(device, ElementType.F32, mlp.layers, keeping::keeps);
    }

    private static void assertSameBits(List<float[]> expected, List<float[]> actual) {
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
            assertArrayEquals(expected.get(i), actual.get(i));
        }
    }

    @ParameterizedTest
    @EnumSource
    void gradientsHaveTheSameBitsAsByHand(Keeping keeping) {
        List<float[]> expected = mlp.runByHand();
        try (Recomputation layers = of(keeping)) {
            assertSameBits(expected, mlp.run(layers));
            assertSameBits(expected, mlp.run(layers));
        }
    }

    /** Kept ones once; recomputed ones twice, but for the last of them. */
    @ParameterizedTest
    @EnumSource
    void nothingIsComputedMoreOftenThanItMust(Keeping keeping) {
        try (Recomputation layers = of(keeping)) {
            mlp.run(layers);
        }
        int last = -1;
        for (int i = 0; i < mlp.layers.size(); i++) {
            last = keeping.keeps(i) ? last : i;
        }
        for (int i = 0; i < mlp.layers.size(); i++) {
            assertEquals(keeping.keeps(i) || i == last ? 1 : 2, mlp.layers.get(i).forwards, "layer " + i);
        }
    }

    @ParameterizedTest
    @EnumSource
    void theLedgerHasWhatTheFormulaSays(Keeping keeping) {
        long borders = 0;
        long kept = 0;
        long recomputed = 0;
        long waiting = 0;
        int n = mlp.layers.size();
        for (int i = 0; i < n; i++) {
            long elements = (long) ROWS * WIDTHS[i + 1];
            borders += bytes(4 * elements);
            if (keeping.keeps(i)) {
                kept += bytes(4 * elements);
            } else {
                recomputed = Math.max(recomputed, bytes(4 * elements));
            }
            if (i >= 1 && i <= n - 2) {
                long waits = (long) ROWS * WIDTHS[i];
                waiting += bytes(waits) + bytes(4 * ((waits + 127) / 128));
            }
        }
        long largest = bytes(4L * ROWS * 96);
        try (Recomputation layers = of(keeping)) {
            assertEquals(
                    borders + kept + recomputed + 2 * largest, device.ledger().bytes(Purpose.ACTIVATIONS));
            mlp.run(layers);
            assertEquals(
                    borders + kept + recomputed + 2 * largest, device.ledger().bytes(Purpose.ACTIVATIONS));
        }
        try (Recomputation layers = inFp8(keeping::keeps)) {
            mlp.run(layers);
            assertEquals(
                    2 * largest + waiting + kept + recomputed + 2 * largest,
                    device.ledger().bytes(Purpose.ACTIVATIONS));
        }
    }

    /** What the device asks of the system for so many bytes. */
    protected abstract long bytes(long asked);

    private Recomputation inFp8(IntPredicate keeps) {
        return Recomputation.withInputsIn(BlockFormat.FP8_E4M3, device, ElementType.F32, mlp.layers, keeps);
    }

    /** The output is the same; gradients are those of inputs rounded to 4 bits. */
    @ParameterizedTest
    @EnumSource
    void inputsThatWaitInFp8ChangeGradientsByTheirRounding(Keeping keeping) {
        List<float[]> expected = mlp.runByHand();
        try (Recomputation layers = inFp8(keeping::keeps)) {
            List<float[]> actual = mlp.run(layers);
            assertArrayEquals(expected.getFirst(), actual.getFirst());
            for (int i = 1; i < expected.size(); i++) {
                double error = 0;
                double size = 0;
                for (int j = 0; j < expected.get(i).length; j++) {
                    error += Math.pow(expected.get(i)[j] - actual.get(i)[j], 2);
                    size += Math.pow(expected.get(i)[j], 2);
                }
                assertTrue(Math.sqrt(error / size) < 0.1, "array " + i + " is off by " + Math.sqrt(error / size));
            }
            assertSameBits(actual, mlp.run(layers));
        }
    }

    @Test
    void oneSegmentIsEnough() {
        mlp.layers.subList(1, mlp.layers.size()).forEach(layer -> {
            layer.weights.close();
            layer.gradient.close();
            layer.hidden.close();
        });
        Layer only = mlp.layers.getFirst();
        mlp.layers.retainAll(List.of(only));
        try (Tensor gradient = device.allocate(Purpose.DATA, "dy", ElementType.F32, Shape.of(only.outputElements()));
                Recomputation plain = of(Keeping.NONE);
                Recomputation coded = inFp8(i -> false)) {
            plain.forward(mlp.input.segment());
            plain.backward(gradient.segment());
            coded.forward(mlp.input.segment());
            coded.backward(gradient.segment());
            assertEquals(2, only.forwards);
        }
    }

    @Test
    void mistakesGetASentence() {
        assertMessage("there is no segment", () -> Recomputation.of(device, ElementType.F32, List.of(), i -> true));
        List<Layer> gap = List.of(mlp.layers.get(0), mlp.layers.get(2));
        assertMessage(
                "segment 1 takes 4608 elements and the one before it gives 3072",
                () -> Recomputation.of(device, ElementType.F32, gap, i -> true));
        assertMessage(
                "activations cannot wait in INT8_LINEAR",
                () -> Recomputation.withInputsIn(
                        BlockFormat.INT8_LINEAR, device, ElementType.F32, mlp.layers, i -> true));
        Recomputation layers = of(Keeping.NONE);
        try (layers;
                Tensor small = device.allocate(Purpose.DATA, "small", ElementType.F32, Shape.of(3))) {
            assertMessage("'the input'", () -> layers.forward(small.segment()));
            assertThrows(IllegalStateException.class, () -> layers.backward(mlp.outputGradient.segment()));
            layers.forward(mlp.input.segment());
            assertMessage("'the output's gradient'", () -> layers.backward(small.segment()));
        }
        assertThrows(IllegalStateException.class, () -> layers.forward(mlp.input.segment()));
    }

    private static void assertMessage(String part, org.junit.jupiter.api.function.Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
