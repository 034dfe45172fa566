package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("tier")
final class MatmulTest extends MatmulContract {
    @Override
    Device open() {
        return Device.cpu(3);
    }

    /** Makes products that need ever larger scratchpads while others run. */
    @Test
    void scratchpadsGrowWhileOthersMultiply() throws InterruptedException {
        MatmulSpec spec = MatmulSpec.f32(false, false, 64, 64, 64);
        Matmul product = device.matmul(spec);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Thread maker = new Thread(() -> {
            for (int size = 80; size < 700; size += 20) {
                device.matmul(MatmulSpec.f32(false, true, size, size, size));
            }
        });
        maker.setUncaughtExceptionHandler((t, e) -> failure.set(e));
        try (Operands operands = new Operands(spec, 5)) {
            double[] expected = operands.expected();
            maker.start();
            while (maker.isAlive()) {
                operands.clear();
                operands.run(product, 1);
                operands.assertNear(expected);
            }
            maker.join();
        }
        assertEquals(null, failure.get());
    }

    @Test
    void runsWithoutGarbage() {
        MatmulSpec spec = MatmulSpec.f32(false, true, 32, 32, 32);
        Matmul product = device.matmul(spec);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Operands operands = new Operands(spec, 3)) {
            long allocations = device.ledger().allocations();
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 60 && least > 0; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < 1000; i++) {
                    operands.run(product, 0);
                }
                // The question itself may cost a little, and the compiler takes its time: the best round counts.
                least = Math.min(least, (threads.getCurrentThreadAllocatedBytes() - before) / 1000);
            }
            assertEquals(0, least, "bytes of garbage per run");
            assertEquals(allocations, device.ledger().allocations());
        }
    }
}
