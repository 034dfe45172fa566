package dev.muonium.nano;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * What the head and its loss work in.
 *
 * @param chunkRows rows whose logits exist at the same time
 * @param logits of a chunk, {@code chunkRows × vocab}
 * @param losses of all rows, FP64
 * @param rowOfLogits FP32, {@code 1 × vocab}
 */
record HeadActivations(int chunkRows, MemorySegment logits, MemorySegment losses, Tensor rowOfLogits) {
    /** Logits of a chunk: 8M for a CPU, 64M for a device that reads the whole head for each chunk as fast as it multiplies. */
    private static long chunkLogits(Grain grain) {
        return grain == Grain.TILES ? 8L << 20 : 64L << 20;
    }

    static HeadActivations allocate(OwnedTensors memory, GptConfig config, ElementType type, Grain grain, int n) {
        int tile = LossHead.SOFTMAX_ROWS;
        long fitting = Math.max(tile, chunkLogits(grain) / config.vocab() / tile * tile);
        int chunkRows = (int) Math.min(n, fitting);
        return new HeadActivations(
                chunkRows,
                memory.activations("logits of a chunk", type, chunkRows, config.vocab()),
                memory.tensor(Purpose.ACTIVATIONS, "losses", ElementType.F64, Shape.of(n))
                        .segment(),
                memory.tensor(Purpose.ACTIVATIONS, "logits of a row", ElementType.F32, Shape.of(1, config.vocab())));
    }
}
