package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.Trainer;
import dev.muonium.memory.NativeHeap;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Thousands of steps hold as much native memory as one: what DJL's managers hold, what the ledger counts, and what malloc has given out. */
@Tag("djl")
final class NativeMemoryTest {
    private static final int STEPS = 2000;

    /** Room for what the JIT compiler takes and gives back. One gradient of the largest matrix in every step would be 12 MB. */
    private static final long ALLOWED = 4 << 20;

    @Test
    void isFlatOverThousandsOfSteps() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                        .optMuon(Muon.defaults().state(StateFormat.INT8))
                        .optAdamW(AdamW.defaults().state(StateFormat.INT8))
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 500); // the JIT compiler's threads and malloc's arenas settle
            List<String> heldBefore = held(model, trainer);
            long allocations = optimizer.device().orElseThrow().ledger().allocations();
            long total = optimizer.device().orElseThrow().ledger().total();
            long least = Long.MAX_VALUE; // what the JIT compiler holds comes and goes; a leak is in every attempt
            for (int attempt = 0; attempt < 3 && least > ALLOWED; attempt++) {
                long before = nativeBytes();
                model.train(trainer, 0, STEPS);
                least = Math.min(least, nativeBytes() - before);
            }
            assertTrue(least <= ALLOWED, "native memory grew by " + least + " bytes in every " + STEPS + " steps");
            assertEquals(heldBefore, held(model, trainer), "arrays that DJL's managers hold");
            assertEquals(allocations, optimizer.device().orElseThrow().ledger().allocations());
            assertEquals(total, optimizer.device().orElseThrow().ledger().total());
        }
    }

    /** Many more arrays than steps, so that what the JIT compiler gives back meanwhile cannot hide them. */
    @Test
    void theMeasureSeesArraysThatAreNotClosed() {
        try (TinyModel model = new TinyModel()) {
            NDArray weights = model.manager().zeros(new Shape(TinyModel.HIDDEN, TinyModel.HIDDEN));
            int leaks = 20_000;
            long leaking = leaks * weights.size() * Float.BYTES;
            List<NDArray> kept = new ArrayList<>();
            long before = nativeBytes();
            for (int i = 0; i < leaks; i++) {
                kept.add(weights.duplicate());
            }
            long seen = nativeBytes() - before;
            kept.forEach(NDArray::close);

            assertTrue(seen > leaking / 2, "of a leak of " + leaking + " bytes " + seen + " are seen");
        }
    }

    private static List<String> held(TinyModel model, Trainer trainer) {
        return List.of(
                "model " + model.manager().getManagedArrays().size(),
                "trainer " + trainer.getManager().getManagedArrays().size(),
                "system "
                        + model.manager().getParentManager().getManagedArrays().size());
    }

    /** Bytes that the C library's allocator has given out and not got back: PyTorch's arrays and handles among them. */
    private static long nativeBytes() {
        System.gc();
        return NativeHeap.bytesInUse();
    }
}
