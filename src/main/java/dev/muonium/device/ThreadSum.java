package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The CPU's place for a sum. One per thread and outside the ledger, like the call's own stack: which thread calls first is chance,
 * and the ledger must not depend on it.
 */
final class ThreadSum implements SumPlace {
    private static final ThreadLocal<MemorySegment> SUM =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ValueLayout.JAVA_DOUBLE));

    @Override
    public MemorySegment take() {
        return SUM.get();
    }

    @Override
    public double read(MemorySegment place) {
        return place.get(ValueLayout.JAVA_DOUBLE, 0);
    }

    @Override
    public void give() {
        // The thread keeps it.
    }
}
