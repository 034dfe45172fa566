package dev.muonium.device;

import dev.muonium.bindings.mu.mu_rounding;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/** A {@code mu_rounding}. */
final class NativeRounding implements Rounding {
    private final Tensor memory;

    NativeRounding(Allocator allocator) {
        memory = allocator.allocate(
                Purpose.OPTIMIZER_WORKSPACE,
                "rounding key",
                ElementType.I64,
                Shape.of(mu_rounding.sizeof() / Long.BYTES));
    }

    @Override
    public void set(long seed, long step, long parameter) {
        MemorySegment key = segment();
        mu_rounding.seed(key, seed);
        mu_rounding.step(key, step);
        mu_rounding.parameter(key, parameter);
    }

    @Override
    public MemorySegment segment() {
        return memory.segment();
    }

    @Override
    public void close() {
        memory.close();
    }
}
