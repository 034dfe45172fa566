package dev.muonium.ortho;

import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** What evaluates the polar factors of a {@link PolarFactor}, which has checked all arguments. */
sealed interface PolarEngine extends AutoCloseable permits TiledPolar, StackedPolar {
    ElementType precision();

    Way way();

    /** How many matrices were evaluated a second time, step by step, because their Gram iteration went wrong. */
    long fallbacks();

    /** {@code out ← NewtonSchulz(u)} for each matrix of a stack. */
    void run(
            int count,
            MemorySegment u,
            ElementType uType,
            long uLd,
            long uStride,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long outStride);

    @Override
    void close();

    static IllegalArgumentException notFinite(long rows, long cols) {
        return new IllegalArgumentException(
                "a matrix of " + rows + "×" + cols + " holds NaN or an infinity; its polar factor is not defined");
    }
}
