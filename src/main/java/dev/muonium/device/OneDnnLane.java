package dev.muonium.device;

import dev.muonium.bindings.dnnl.Dnnl;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * What one worker needs to run products: a stream, and a scratchpad as large as the neediest product's. Locked while a
 * product runs, so that two threads that use one worker's number by mistake wait for each other instead of mixing data.
 */
final class OneDnnLane implements AutoCloseable {
    private final Allocator allocator;
    private final int worker;
    private final MemorySegment stream;
    private @Nullable Tensor scratchpad;
    private long scratchpadAddress;

    OneDnnLane(OneDnn owner, Allocator allocator, int worker) {
        this.allocator = allocator;
        this.worker = worker;
        this.stream = owner.create(
                "dnnl_stream_create",
                OneDnnLane::destroyStream,
                out -> Dnnl.dnnl_stream_create(out, owner.engine(), Dnnl.dnnl_stream_in_order()));
    }

    MemorySegment stream() {
        return stream;
    }

    /** Where the scratchpad begins, or 0 if no product needs one. Valid while the lane is locked. */
    long scratchpadAddress() {
        return scratchpadAddress;
    }

    /** Makes the scratchpad at least so large. */
    synchronized void reserve(long bytes) {
        Tensor old = scratchpad;
        if (bytes == 0 || (old != null && old.byteSize() >= bytes)) {
            return;
        }
        Tensor larger = allocator.allocate(
                Purpose.WORKSPACE, "scratchpad of worker " + worker, ElementType.U8, Shape.of(bytes));
        scratchpad = larger;
        scratchpadAddress = larger.segment().address();
        if (old != null) {
            old.close();
        }
    }

    @Override
    public synchronized void close() {
        Tensor last = scratchpad;
        scratchpad = null;
        scratchpadAddress = 0;
        if (last != null) {
            last.close();
        }
    }

    private static void destroyStream(MemorySegment handle) {
        OneDnn.check(Dnnl.dnnl_stream_destroy(handle), "dnnl_stream_destroy");
    }
}
