package dev.muonium.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** Checkpoints whose content follows from the step. */
final class Samples {
    private static final int WEIGHTS = 3000;
    private static final int CODES = 5000;

    private Samples() {}

    static Map<String, String> values(long step) {
        return Map.of("seed", String.valueOf(step * 7), "text", "\"quoted\" and ünïcode");
    }

    static List<CheckpointPart> parts(long step) {
        MemorySegment weights = Arena.ofAuto().allocate(4L * WEIGHTS, 8);
        for (int i = 0; i < WEIGHTS; i++) {
            weights.setAtIndex(ValueLayout.JAVA_FLOAT, i, step + i / 8f);
        }
        MemorySegment codes = Arena.ofAuto().allocate(CODES, 8);
        for (int i = 0; i < CODES; i++) {
            codes.set(ValueLayout.JAVA_BYTE, i, (byte) (step * 31 + i));
        }
        return List.of(
                new CheckpointPart(
                        CheckpointPart.MODEL,
                        Map.of("producer", "test"),
                        List.of(new StoredTensor("w", StoredType.F32, List.of(30L, 100L), weights))),
                new CheckpointPart(
                        CheckpointPart.OPTIMIZER,
                        Map.of(),
                        List.of(new StoredTensor("w.momentum_buffer", StoredType.I8, List.of((long) CODES), codes))));
    }

    /** Every byte is that of the step. */
    static void assertContent(Checkpoint checkpoint) {
        long step = checkpoint.step();
        assertEquals(values(step), checkpoint.values());
        for (CheckpointPart part : parts(step)) {
            Safetensors file = checkpoint.part(part.name());
            assertEquals(part.metadata(), file.metadata());
            assertEquals(part.tensors().size(), file.names().size());
            for (StoredTensor tensor : part.tensors()) {
                StoredTensor stored = file.tensor(tensor.name());
                assertEquals(tensor.type(), stored.type());
                assertEquals(tensor.shape(), stored.shape());
                assertEquals(-1, tensor.data().mismatch(stored.data()));
            }
        }
    }
}
