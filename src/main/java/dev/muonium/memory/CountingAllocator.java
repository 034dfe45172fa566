package dev.muonium.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Enters in a ledger what is asked for, and holds none of it: for planning. Tensors have no memory behind them; reading one crashes.
 * Thread-safe.
 */
public final class CountingAllocator implements Allocator {
    private final Ledger ledger = new Ledger(false);
    private final long alignment;

    /** @param alignment sizes are rounded up to a multiple of it */
    public CountingAllocator(long alignment) {
        this.alignment = alignment;
    }

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        long asked = shape.elements() * type.byteSize();
        return Tensor.own(
                name,
                type,
                shape,
                MemorySegment.NULL.reinterpret(asked),
                Arena.ofShared(),
                ledger,
                purpose,
                aligned(asked));
    }

    private long aligned(long bytes) {
        return (bytes + alignment - 1) / alignment * alignment;
    }

    @Override
    public Ledger ledger() {
        return ledger;
    }
}
