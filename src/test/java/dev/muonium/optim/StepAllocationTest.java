package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.muonium.device.CpuDevice;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** After the first step the ledger does not change, and a step leaves at most 1 KB of garbage on all threads together. */
class StepAllocationTest {
    private static final int STEPS = 50;

    @ParameterizedTest
    @ValueSource(ints = {1, 8})
    void aStepAllocatesNothingOffTheHeapAndNextToNothingOnIt(int blocks) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        List<Thread> workers = new CopyOnWriteArrayList<>();
        try (CpuDevice device = CpuDevice.builder()
                        .threads(2)
                        .executor(
                                job -> workers.add(Thread.ofPlatform().daemon().start(job)))
                        .open();
                Model model = new Model(device, ElementType.F32);
                Optimizer optimizer = Optimizer.builder(device)
                        .group(Muon.defaults().state(StateFormat.INT8))
                        .group(AdamW.defaults().state(StateFormat.INT8))
                        .clipGlobalNorm(1)
                        .schedule(Schedule.cosine(10, 10, 10_000, 0))
                        .build()) {
            for (int block = 0; block < blocks; block++) {
                model.with("attn" + block, ParameterKind.MATRIX, Shape.of(48, 48));
                model.with("mlp" + block, ParameterKind.MATRIX, Shape.of(32, 80));
                model.with("gain" + block, ParameterKind.VECTOR, Shape.of(64));
                // Fused and split within blocks of state.
                model.with("qkv" + block, ParameterKind.MATRIX, Shape.of(36, 21), p -> p.splitRows(20, 8, 8));
                model.with("experts" + block, ParameterKind.STACK, Shape.of(3, 16, 24));
            }
            model.with("wte", ParameterKind.EMBEDDING, Shape.of(100L * blocks, 64));
            optimizer.addAll(model.parameters());
            model.newGradients();
            optimizer.step();
            long allocations = device.ledger().allocations();
            // Until the just-in-time compiler has removed what only the interpreter allocates.
            for (int step = 0; step < 2_000; step++) {
                optimizer.step();
            }
            long least = Long.MAX_VALUE;
            for (int attempt = 0; attempt < 5; attempt++) {
                long before = allocated(threads, workers);
                for (int step = 0; step < STEPS; step++) {
                    optimizer.step();
                }
                least = Math.min(least, allocated(threads, workers) - before);
            }
            assertEquals(1, workers.size());
            long perStep = least / STEPS;
            assertTrue(perStep <= 1024, perStep + " bytes of garbage per step");
            assertEquals(allocations, device.ledger().allocations());
        }
    }

    private static long allocated(ThreadMXBean threads, List<Thread> workers) {
        long bytes = threads.getThreadAllocatedBytes(Thread.currentThread().threadId());
        for (Thread worker : workers) {
            bytes += threads.getThreadAllocatedBytes(worker.threadId());
        }
        return bytes;
    }
}
