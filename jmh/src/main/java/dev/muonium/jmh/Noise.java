package dev.muonium.jmh;

import dev.muonium.device.Device;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Fills arrays with normally distributed values, the same in every run. */
final class Noise {
    /** As many as the largest matrix of the benchmarks has; larger arrays repeat them, because drawing is slow. */
    private static final float[] VALUES = draw(1 << 22);

    private Noise() {}

    private static float[] draw(int count) {
        SplittableRandom random = new SplittableRandom(1);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Fills an FP32 tensor of any device: mean 0, standard deviation 1. */
    static void fill(Device device, Tensor f32) {
        for (long begin = 0; begin < f32.elements(); begin += VALUES.length) {
            long bytes = Math.min(VALUES.length, f32.elements() - begin) * Float.BYTES;
            device.memory().copyIn(MemorySegment.ofArray(VALUES), 0, f32.segment(), begin * Float.BYTES, bytes);
        }
    }

    /** Fills an FP32 array: mean 0, standard deviation 1. */
    static void fill(MemorySegment f32) {
        long elements = f32.byteSize() / Float.BYTES;
        for (long begin = 0; begin < elements; begin += VALUES.length) {
            int count = (int) Math.min(VALUES.length, elements - begin);
            MemorySegment.copy(VALUES, 0, f32, ValueLayout.JAVA_FLOAT, begin * Float.BYTES, count);
        }
    }
}
