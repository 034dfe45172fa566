package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.NativeHeap;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

/** What a step makes, it frees, without the garbage collector: native memory is as large after a thousand steps as before. */
@PyTorchTest
final class NativeMemoryTest {
    private static final int STEPS = 1000;

    /** The JVM's own compiler takes and gives back some 20 MiB. */
    private static final long NOISE = 64L << 20;

    @Test
    void nativeMemoryIsFlatOverAThousandSteps() {
        ByteModel model = new ByteModel(96);
        try (ModuleOptimizer optimizer = optimizer(model)) {
            train(model, optimizer, 50);
            Use before = Use.now();
            long allocations = optimizer.device().ledger().allocations();
            train(model, optimizer, STEPS);
            Use after = Use.now();

            // The garbage collector may free what was made before.
            assertTrue(after.references() <= before.references(), before + " " + after);
            assertTrue(STEPS * bytes(model) > 5 * NOISE, "gradients that were kept would not be seen");
            assertTrue(after.heap() < before.heap() + NOISE, before + " " + after);
            assertEquals(allocations, optimizer.device().ledger().allocations());
        }
    }

    @Test
    void theMeasureSeesReferencesThatAreNotFreed() {
        ByteModel model = new ByteModel(256);
        try (ModuleOptimizer optimizer = optimizer(model)) {
            train(model, optimizer, 50);
            Use before = Use.now();
            List<Tensor> kept = new ArrayList<>();
            int leaks = 60;
            for (int step = 0; step < leaks; step++) {
                kept.add(new Tensor(model.up().weight().grad()));
                train(model, optimizer, 1);
            }
            Use after = Use.now();

            assertTrue(after.references() >= before.references() + leaks, before + " " + after);
            assertTrue(after.heap() > before.heap() + NOISE, before + " " + after);
            kept.forEach(Pointer::close);
        }
    }

    @Test
    void zeroGradGivesTheMemoryOfGradientsBack() {
        ByteModel model = new ByteModel(1024);
        try (ModuleOptimizer optimizer = optimizer(model)) {
            model.backward(0);
            assertTrue(bytes(model) / 2 > NOISE / 3, "the JVM's compiler could hide gradients");
            long with = Use.now().heap();
            optimizer.zeroGrad();
            long without = Use.now().heap();

            assertTrue(with - without > bytes(model) / 2, with + " " + without);
        }
    }

    private static ModuleOptimizer optimizer(ByteModel model) {
        return ModuleOptimizer.builder(model)
                .head(ByteModel.HEAD)
                .group(Muon.defaults().state(StateFormat.INT8))
                .group(AdamW.defaults().state(StateFormat.INT8))
                .clipGlobalNorm(1)
                .build();
    }

    private static void train(ByteModel model, ModuleOptimizer optimizer, int steps) {
        for (int step = 0; step < steps; step++) {
            optimizer.zeroGrad();
            model.backward(step);
            optimizer.step();
        }
    }

    private static long bytes(ByteModel model) {
        try (PointerScope _ = new PointerScope()) {
            return Torch.parameters(model).values().stream()
                    .mapToLong(Tensor::nbytes)
                    .sum();
        }
    }

    /**
     * Native memory in use.
     *
     * @param references objects of C++ that Java owns, as JavaCPP counts them
     * @param heap bytes in use that the C library has given out
     */
    private record Use(long references, long heap) {
        static Use now() {
            return new Use(Pointer.totalCount(), NativeHeap.bytesInUse());
        }
    }
}
