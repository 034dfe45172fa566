package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import java.lang.foreign.MemorySegment;

/** A matrix product whose result is cut into bands of rows or columns, one task each, on a CPU; on a GPU it is one. The borders depend on the shape alone. */
final class BandedProduct {
    private static final long BAND = 256;

    private final MatmulSpec whole;
    private final boolean byColumns;
    private final long band;
    private final int tasks;
    private final Matmul full;
    private final Matmul last;

    BandedProduct(Device device, MatmulSpec whole, boolean byColumns) {
        this.whole = whole;
        this.byColumns = byColumns;
        long extent = byColumns ? whole.n() : whole.m();
        this.band = device.memory().isHost() ? Math.min(BAND, extent) : extent;
        this.tasks = Math.toIntExact((extent + band - 1) / band);
        this.full = device.matmul(part(band));
        this.last = device.matmul(part(extent - (tasks - 1) * band));
    }

    private MatmulSpec part(long extent) {
        return new MatmulSpec(
                whole.aType(),
                whole.bType(),
                whole.cType(),
                whole.transA(),
                whole.transB(),
                byColumns ? whole.m() : extent,
                byColumns ? extent : whole.n(),
                whole.k(),
                whole.lda(),
                whole.ldb(),
                whole.ldc(),
                whole.accumulate());
    }

    int tasks() {
        return tasks;
    }

    /** The first row or column of a task. */
    long begin(int task) {
        return task * band;
    }

    /** The row or column behind the last one of a task. */
    long end(int task) {
        return Math.min(begin(task) + band, byColumns ? whole.n() : whole.m());
    }

    void run(int task, int worker, MemorySegment a, MemorySegment b, MemorySegment c) {
        long at = begin(task);
        long aAt = byColumns ? 0 : whole.transA() ? at : at * whole.lda();
        long bAt = !byColumns ? 0 : whole.transB() ? at * whole.ldb() : at;
        long cAt = byColumns ? at : at * whole.ldc();
        (task == tasks - 1 ? last : full).run(worker, a, aAt, b, bAt, c, cAt);
    }
}
