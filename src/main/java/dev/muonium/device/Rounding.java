package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/** The key of the counter-based generator that rounds bf16 weights: bits are a function of the key and the element's index. */
public interface Rounding extends AutoCloseable {
    /** Sets the key. Not thread-safe against a kernel that reads it. */
    void set(long seed, long step, long parameter);

    /** The {@code mu_rounding} that kernels read. */
    MemorySegment segment();

    @Override
    void close();
}
