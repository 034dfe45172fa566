package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/** Products of one specification, each on a worker of its own. */
final class OneDnnBatch implements BatchedMatmul {
    private final Matmul product;
    private final Workers workers;
    private final int count;
    private final long aStride;
    private final long bStride;
    private final long cStride;

    OneDnnBatch(Matmul product, Workers workers, int count, long aStride, long bStride, long cStride) {
        this.product = product;
        this.workers = workers;
        this.count = count;
        this.aStride = aStride;
        this.bStride = bStride;
        this.cStride = cStride;
    }

    @Override
    public MatmulSpec spec() {
        return product.spec();
    }

    @Override
    public long count() {
        return count;
    }

    @Override
    public void run(MemorySegment a, long aOffset, MemorySegment b, long bOffset, MemorySegment c, long cOffset) {
        workers.run(
                count,
                (task, worker) -> product.run(
                        worker, a, aOffset + task * aStride, b, bOffset + task * bStride, c, cOffset + task * cStride));
    }
}
