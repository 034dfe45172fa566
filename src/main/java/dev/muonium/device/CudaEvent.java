package dev.muonium.device;

import dev.muonium.bindings.cudart.CudaRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A point in a stream at which the GPU takes the time. */
final class CudaEvent implements AutoCloseable {
    private final CudaStream stream;
    private final MemorySegment handle;

    private CudaEvent(CudaStream stream, MemorySegment handle) {
        this.stream = stream;
        this.handle = handle;
    }

    static CudaEvent create(CudaStream stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            stream.checkDone(
                    CudaRuntime.cudaEventCreateWithFlags(out, CudaRuntime.cudaEventDefault()),
                    "cudaEventCreateWithFlags");
            return new CudaEvent(stream, out.get(ValueLayout.ADDRESS, 0));
        }
    }

    void record() {
        stream.enter();
        stream.check(CudaRuntime.cudaEventRecord(handle, stream.handle()), "cudaEventRecord");
    }

    /** Both events must have been reached. */
    double millisecondsTo(CudaEvent end) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_FLOAT);
            stream.checkDone(CudaRuntime.cudaEventElapsedTime(out, handle, end.handle), "cudaEventElapsedTime");
            return out.get(ValueLayout.JAVA_FLOAT, 0);
        }
    }

    @Override
    public void close() {
        if (stream.enterToFree()) {
            stream.report(CudaRuntime.cudaEventDestroy(handle), "cudaEventDestroy");
        }
    }
}
