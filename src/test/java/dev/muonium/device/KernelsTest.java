package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.muonium.NativeException;
import dev.muonium.memory.ElementType;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

final class KernelsTest extends KernelsContract {
    private static final ElementType F32 = ElementType.F32;
    private static final ElementType BF16 = ElementType.BF16;
    private static final ElementType I8 = ElementType.I8;

    @Override
    Device open() {
        return Device.cpu(1);
    }

    /** What a kernel computes in FP32 only it refuses in BF16, and the segments are measured in the type that is asked for. */
    @Test
    void networkKernelsOfTheCpuComputeInF32() {
        NetworkKernels network = device.networkKernels();
        NativeException refusal =
                assertThrows(NativeException.class, () -> network.relu2(BF16, floats(4), floats(4), 0, 8));
        assertTrue(refusal.getMessage().contains("the CPU computes networks in MU_F32 only"), refusal.getMessage());
        says("'a' has 14 bytes", () -> network.relu2(BF16, floats(4), floats(4).asSlice(0, 14), 0, 8));
        says("a kernel takes F32 or BF16, not I8", () -> network.relu2(I8, floats(4), floats(4), 0, 8));
    }

    @Test
    void callsMakeNoGarbage() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (AdamWParameters parameters = kernels.newAdamWParameters()) {
            parameters.set(0.1, 0.9, 0.999, 1e-8, 0, 1, 1);
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 60 && least > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1_000; i++) {
                    momentum(x, codes, scales, out);
                    adamW(parameters, out, x, codes, scales, vCodes, vScales);
                    double _ = kernels.sumSquares(x, F32, 0, 130);
                    kernels.muonUpdate(out, F32, 13, null, x, F32, 13, 1, 1, null, 13, 0, 10);
                }
                least = Math.min(least, (threads.getCurrentThreadAllocatedBytes() - before) / 1_000);
            }
            assertEquals(0, least, "bytes of garbage per round of four calls");
        }
    }
}
