package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What gradient accumulation owes on every device. */
abstract class GradientAccumulatorContract {
    private static final Shape SHAPE = Shape.of(300, 333);

    abstract Device openDevice();

    /** Against sums in double of the values as they are stored. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void addsUpWhatMicroBatchesGive(ElementType type) {
        Random random = new Random(1);
        try (Device device = openDevice();
                GradientAccumulator sums = new GradientAccumulator(device);
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "g", type, SHAPE)) {
            Tensor sum = sums.add("w", SHAPE);
            long allocations = device.ledger().allocations();
            for (int step = 0; step < 2; step++) {
                double[] expected = new double[(int) SHAPE.elements()];
                sums.zero();
                for (int micro = 0; micro < 4; micro++) {
                    float[] values = new float[expected.length];
                    for (int i = 0; i < values.length; i++) {
                        float value = (float) random.nextGaussian();
                        values[i] = type == ElementType.BF16 ? Bf16.toFloat(Bf16.fromFloat(value)) : value;
                        expected[i] += values[i] / 4.0;
                    }
                    gradient.copyFrom(values);
                    sums.accumulate("w", gradient.segment(), type, 0.25);
                }
                float[] actual = sum.toFloatArray();
                for (int i = 0; i < expected.length; i++) {
                    assertEquals(expected[i], actual[i], 5e-7);
                }
            }
            assertEquals(allocations, device.ledger().allocations());
        }
    }

    @Test
    void aStepIsTakenWithTheSumsOrLeftOut() {
        try (Device device = openDevice();
                Tensor weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(64));
                Tensor gradient = device.allocate(Purpose.GRADIENTS, "g", ElementType.F32, Shape.of(64));
                GradientAccumulator sums = new GradientAccumulator(device);
                Optimizer optimizer =
                        Optimizer.builder(device).group(AdamW.defaults()).build()) {
            optimizer.add(Parameter.of(ParameterKind.VECTOR, weights, sums.add("w", Shape.of(64))));
            float[] ones = new float[64];
            java.util.Arrays.fill(ones, 1);
            gradient.copyFrom(ones);
            sums.accumulate("w", gradient.segment(), ElementType.F32, 0.5);
            sums.accumulate("w", gradient.segment(), ElementType.F32, 0.5);
            assertEquals(8, optimizer.step().gradientNorm(), 1e-6);
            ones[3] = Float.NaN;
            gradient.copyFrom(ones);
            sums.accumulate("w", gradient.segment(), ElementType.F32, 0.5);
            assertFalse(optimizer.step().taken());
        }
    }

    @Test
    void mistakesAreNamed() {
        try (Device device = openDevice();
                Tensor small = device.allocate(Purpose.GRADIENTS, "small", ElementType.F32, Shape.of(4));
                GradientAccumulator sums = new GradientAccumulator(device)) {
            sums.add("w", SHAPE);
            assertEquals(
                    "gradients of 'w' are accumulated already; names are unique", message(() -> sums.add("w", SHAPE)));
            assertEquals(
                    "no gradients of 'x' are accumulated; there are those of [w]",
                    message(() -> sums.accumulate("x", small.segment(), ElementType.F32, 1)));
            assertThrows(
                    IllegalArgumentException.class, () -> sums.accumulate("w", small.segment(), ElementType.F32, 1));
            assertEquals(
                    "the gradient of 'w' is I8; it must be F32 or BF16",
                    message(() -> sums.accumulate("w", small.segment(), ElementType.I8, 1)));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> sums.accumulate("w", small.segment(), ElementType.F32, Double.NaN));
        }
    }

    private static String message(org.junit.jupiter.api.function.Executable call) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, call).getMessage());
    }
}
