package dev.muonium.nano;

import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;

/**
 * The matrices of one block, or their gradients.
 *
 * @param gate null where the MLP has two matrices
 */
record BlockWeights(
        MemorySegment q,
        MemorySegment k,
        MemorySegment v,
        MemorySegment out,
        @Nullable MemorySegment gate,
        MemorySegment up,
        MemorySegment down) {

    /** Takes them from segments in the order of {@link GptConfig#parameters()}. */
    static BlockWeights take(Iterator<MemorySegment> segments, boolean gated) {
        return new BlockWeights(
                segments.next(),
                segments.next(),
                segments.next(),
                segments.next(),
                gated ? segments.next() : null,
                segments.next(),
                segments.next());
    }
}
