package dev.muonium.nano;

import java.lang.foreign.MemorySegment;

/** {@code dW += dYᵀ·X} over all rows, in tasks; dY is {@code rows × outputs}, X {@code rows × inputs}. */
interface WeightGradient {
    /** How many tasks it has. */
    int tasks();

    /** One task. */
    void run(int task, int worker, MemorySegment dy, MemorySegment x, MemorySegment dw);

    /** The same where X is that of the weight gradient before it, unchanged: what was made of X need not be made again. */
    default void runAgain(int task, int worker, MemorySegment dy, MemorySegment x, MemorySegment dw) {
        run(task, worker, dy, x, dw);
    }
}
