package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.device.PoolWaiter;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What polar factors promise beyond that on a CPU, whose workers and memory tests can reach. */
abstract class CpuPolarFactorContract extends PolarFactorContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    @Test
    void theBitsAreTheSameForAnyNumberOfThreads() {
        List<ElementType> precisions = new ArrayList<>(List.of(ElementType.F32));
        if (device.isFast(ElementType.BF16)) {
            precisions.add(ElementType.BF16);
        }
        float[] u = gaussian(300 * 700, 5);
        for (ElementType precision : precisions) {
            for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram())) {
                NewtonSchulz spec = NewtonSchulz.defaults().precision(precision).way(way);
                List<float[]> results = new ArrayList<>();
                for (int threads = 1; threads <= 3; threads++) {
                    try (Device other = Device.cpu(threads)) {
                        results.add(apply(other, spec, u, 300, 700));
                    }
                }
                assertArrayEquals(results.get(0), results.get(1), precision + " " + way);
                assertArrayEquals(results.get(0), results.get(2), precision + " " + way);
            }
        }
    }

    @Test
    void badInputGetsASentence() {
        try (Tensor u = f32(new float[12]);
                PolarFactor polar = polar(device, FP32, 3, 4)) {
            MemorySegment memory = u.segment();
            assertMessage(
                    "leading dimension of 'u' is 3; it must be at least the 4 columns",
                    () -> polar.apply(memory, ElementType.F32, 3, memory, ElementType.F32, 4));
            assertMessage(
                    "'out' is read-only",
                    () -> polar.apply(memory, ElementType.F32, memory.asReadOnly(), ElementType.F32));
            assertMessage(
                    "'u' has 40 bytes; 12 elements of F32 need 48",
                    () -> polar.apply(memory.asSlice(0, 40), ElementType.F32, memory, ElementType.F32));
            assertMessage(
                    "lies on the Java heap",
                    () -> polar.apply(MemorySegment.ofArray(new float[12]), ElementType.F32, memory, ElementType.F32));
            u.setFloat(3, Float.NaN);
            assertMessage("holds NaN", () -> polar.apply(memory, ElementType.F32, memory, ElementType.F32));
        }
    }

    @Test
    void aStackThatOverlapsItselfIsRefusedBeforeAnythingIsWritten() {
        float[] values = gaussian(100, 1);
        try (Tensor u = f32(values);
                Tensor out = f32(values);
                PolarFactor polar = polar(device, FP32, 3, 4)) {
            assertMessage(
                    "the stride of 'u' is 10; it must be at least the 14 elements",
                    () -> stack(polar, u, out, 3, 10, 14));
            assertMessage(
                    "the stride of 'out' is -5; it must be at least the 14", () -> stack(polar, u, out, 3, 14, -5));
            assertMessage("'u' has 400 bytes", () -> stack(polar, u, out, 3, Long.MAX_VALUE / 2, 14));
            assertMessage("'out' has 400 bytes", () -> stack(polar, u, out, 3, 14, Long.MAX_VALUE));
            assertMessage(
                    "'u' has 400 bytes",
                    () -> polar.apply(u.segment(), ElementType.F32, Long.MAX_VALUE, out.segment(), ElementType.F32, 4));
            assertMessage("a stack has 0 matrices", () -> stack(polar, u, out, 0, 14, 14));
            assertArrayEquals(values, out.toFloatArray());
            stack(polar, u, out, 1, 0, 0); // without a second matrix there is no stride
            stack(polar, u, out, 3, 14, 14);
        }
    }

    /** With rows 5 elements apart. */
    protected static void stack(PolarFactor polar, Tensor u, Tensor out, int count, long uStride, long outStride) {
        polar.applyToStack(
                count, u.segment(), ElementType.F32, LD, uStride, out.segment(), ElementType.F32, LD, outStride);
    }

    @Test
    void aSecondThreadIsRefusedWhileOneComputes() throws InterruptedException {
        float[] values = gaussian(12, 1);
        try (Tensor u = f32(Arrays.copyOf(values, 14));
                Tensor out = f32(new float[14]);
                PolarFactor polar = polar(device, FP32, 3, 4)) {
            Executable apply = () -> polar.apply(u.segment(), ElementType.F32, out.segment(), ElementType.F32);
            Thread other = new Thread(() -> polar.apply(u.segment(), ElementType.F32, out.segment(), ElementType.F32));
            // While this task runs, the pool is taken, and whoever computes waits for it in the middle.
            device.workers().run(1, (task, worker) -> {
                other.start();
                PoolWaiter.await(other);
                for (Executable call : List.of(apply, () -> stack(polar, u, out, 1, 0, 0), polar::close)) {
                    assertTrue(assertThrows(IllegalStateException.class, call)
                            .getMessage()
                            .contains("polar factor of 3×4 is in use by another thread"));
                }
            });
            other.join();
            assertArrayEquals(apply(device, FP32, values, 3, 4), Arrays.copyOf(out.toFloatArray(), 12));
        }
    }
}
