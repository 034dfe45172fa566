package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.training.Trainer;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A thousand steps hold as much native memory as one: what DJL's managers hold, what the ledger counts, and what malloc has given out. */
@Tag("djl")
final class NativeMemoryTest {
    /** A leak of one gradient of the largest matrix in every step would be 6 MB of a thousand steps, of all of them 11 MB. */
    private static final long ALLOWED = 4 << 20;

    /** {@code struct mallinfo2} of glibc: ten counts, of which two are of bytes in use. */
    private static final int IN_MAPPINGS = 4;

    private static final int IN_CHUNKS = 7;

    private static final MethodHandle MALLINFO = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("mallinfo2"),
                    FunctionDescriptor.of(
                            MemoryLayout.structLayout(MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG))));

    @Test
    void isFlatOverAThousandSteps() {
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
            long least = Long.MAX_VALUE; // what the JIT compiler holds comes and goes; a leak is in every thousand
            for (int thousand = 0; thousand < 3 && least > ALLOWED; thousand++) {
                long before = nativeBytes();
                model.train(trainer, 0, 1000);
                least = Math.min(least, nativeBytes() - before);
            }
            assertTrue(least <= ALLOWED, "native memory grew by " + least + " bytes in every thousand steps");
            assertEquals(heldBefore, held(model, trainer), "arrays that DJL's managers hold");
            assertEquals(allocations, optimizer.device().orElseThrow().ledger().allocations());
            assertEquals(total, optimizer.device().orElseThrow().ledger().total());

            long unleaked = nativeBytes();
            List<NDArray> leaked = leak(model, 1000);
            long seen = nativeBytes() - unleaked;
            assertTrue(seen > ALLOWED, "the measure sees " + seen + " bytes of a leak");
            leaked.forEach(NDArray::close);
        }
    }

    /** What a step would leak that does not close the duplicate of a gradient. */
    private static List<NDArray> leak(TinyModel model, int steps) {
        List<NDArray> leaked = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            leaked.add(model.parameter("03Linear_weight").getArray().duplicate());
        }
        return leaked;
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
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment counts = (MemorySegment) MALLINFO.invokeExact((SegmentAllocator) arena);
            return counts.getAtIndex(ValueLayout.JAVA_LONG, IN_CHUNKS)
                    + counts.getAtIndex(ValueLayout.JAVA_LONG, IN_MAPPINGS);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
