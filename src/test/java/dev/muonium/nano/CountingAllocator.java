package dev.muonium.nano;

import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Enters in a ledger what is asked for, and holds none of it. */
final class CountingAllocator implements Allocator {
    private final Ledger ledger = new Ledger();
    private final long alignment;

    /** @param alignment sizes are rounded up to a multiple of it */
    CountingAllocator(long alignment) {
        this.alignment = alignment;
    }

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        long bytes = (shape.elements() * type.byteSize() + alignment - 1) / alignment * alignment;
        return Tensor.own(name, type, shape, MemorySegment.NULL, Arena.ofShared(), ledger, purpose, bytes);
    }

    @Override
    public Ledger ledger() {
        return ledger;
    }
}
