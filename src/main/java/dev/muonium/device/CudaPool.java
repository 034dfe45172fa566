package dev.muonium.device;

import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.bindings.cudart.cudaMemLocation;
import dev.muonium.bindings.cudart.cudaMemPoolProps;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The stream-ordered pool that a device's memory comes from: one of its own, so that what it keeps for the next allocation is its
 * own as well; the GPU's default pool where none can be made.
 */
final class CudaPool {
    private final CudaStream stream;
    private final MemorySegment pool;

    private CudaPool(CudaStream stream, MemorySegment pool) {
        this.stream = stream;
        this.pool = pool;
    }

    /** @param keptBytes unused bytes that a synchronization leaves in the pool */
    static CudaPool create(CudaStream stream, long keptBytes) {
        stream.enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment properties = cudaMemPoolProps.allocate(arena);
            properties.fill((byte) 0);
            cudaMemPoolProps.allocType(properties, CudaRuntime.cudaMemAllocationTypePinned());
            cudaMemPoolProps.handleTypes(properties, CudaRuntime.cudaMemHandleTypeNone());
            MemorySegment location = cudaMemPoolProps.location(properties);
            cudaMemLocation.type(location, CudaRuntime.cudaMemLocationTypeDevice());
            cudaMemLocation.id(location, stream.ordinal());
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = CudaRuntime.cudaMemPoolCreate(out, properties);
            if (status == CudaRuntime.cudaErrorNotSupported()) {
                var _ = CudaRuntime.cudaGetLastError();
                return new CudaPool(stream, MemorySegment.NULL);
            }
            stream.checkDone(status, "cudaMemPoolCreate");
            CudaPool created = new CudaPool(stream, out.get(ValueLayout.ADDRESS, 0));
            MemorySegment kept = arena.allocateFrom(ValueLayout.JAVA_LONG, keptBytes);
            stream.checkDone(
                    CudaRuntime.cudaMemPoolSetAttribute(
                            created.pool, CudaRuntime.cudaMemPoolAttrReleaseThreshold(), kept),
                    "cudaMemPoolSetAttribute");
            return created;
        }
    }

    /** The address of new memory, or 0 if there is not that much, not even after waiting for what is being freed. */
    long allocate(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = allocate(out, bytes);
            if (status == CudaRuntime.cudaErrorMemoryAllocation()) {
                var _ = CudaRuntime.cudaGetLastError();
                stream.synchronize();
                if (!pool.equals(MemorySegment.NULL)) {
                    stream.checkDone(CudaRuntime.cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
                }
                status = allocate(out, bytes);
                if (status == CudaRuntime.cudaErrorMemoryAllocation()) {
                    var _ = CudaRuntime.cudaGetLastError();
                    return 0;
                }
            }
            stream.check(status, function());
            return out.get(ValueLayout.ADDRESS, 0).address();
        }
    }

    private int allocate(MemorySegment out, long bytes) {
        return pool.equals(MemorySegment.NULL)
                ? CudaRuntime.cudaMallocAsync(out, bytes, stream.handle())
                : CudaRuntime.cudaMallocFromPoolAsync(out, bytes, pool, stream.handle());
    }

    private String function() {
        return pool.equals(MemorySegment.NULL) ? "cudaMallocAsync" : "cudaMallocFromPoolAsync";
    }

    /** After all work that was started before. */
    void free(long address) {
        if (stream.enterToFree()) {
            stream.report(
                    CudaRuntime.cudaFreeAsync(MemorySegment.ofAddress(address), stream.handle()), "cudaFreeAsync");
        }
    }

    void destroy() {
        if (!pool.equals(MemorySegment.NULL) && stream.enterToFree()) {
            stream.report(CudaRuntime.cudaMemPoolDestroy(pool), "cudaMemPoolDestroy");
        }
    }
}
