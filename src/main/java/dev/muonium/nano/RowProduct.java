package dev.muonium.nano;

import java.lang.foreign.MemorySegment;

/** {@code Y ← X·op(W)} (or {@code Y += X·op(W)}) for a tile of rows; X is {@code rows × inputs}, Y {@code rows × outputs}. */
interface RowProduct {
    /** Multiplies the rows {@code [rowBegin, rowBegin + rows)}. */
    void run(int worker, MemorySegment x, MemorySegment w, MemorySegment y, long rowBegin, int rows);

    /** The same where the rows of X are those of the row product before it, unchanged: what was made of X need not be made again. */
    default void runAgain(int worker, MemorySegment x, MemorySegment w, MemorySegment y, long rowBegin, int rows) {
        run(worker, x, w, y, rowBegin, rows);
    }
}
