package dev.muonium.device;

import dev.muonium.bindings.cudart.CudaRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/** A recording of a GPU: a CUDA graph that was captured in the device's stream. */
final class CudaGraph implements Recording {
    private final CudaStream stream;
    private final MemorySegment executable;
    private final Consumer<CudaGraph> forget;
    private boolean closed;

    private CudaGraph(CudaStream stream, MemorySegment executable, Consumer<CudaGraph> forget) {
        this.stream = stream;
        this.executable = executable;
        this.forget = forget;
    }

    static CudaGraph record(CudaStream stream, Runnable work, Consumer<CudaGraph> forget) {
        MemorySegment graph = capture(stream, work);
        try (Arena arena = Arena.ofConfined()) {
            stream.enter();
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            stream.checkDone(CudaRuntime.cudaGraphInstantiate(out, graph, 0), "cudaGraphInstantiate");
            CudaGraph recorded = new CudaGraph(stream, out.get(ValueLayout.ADDRESS, 0), forget);
            // Else the first replay would pay for it.
            stream.check(CudaRuntime.cudaGraphUpload(recorded.executable, stream.handle()), "cudaGraphUpload");
            return recorded;
        } finally {
            stream.report(CudaRuntime.cudaGraphDestroy(graph), "cudaGraphDestroy");
        }
    }

    private static MemorySegment capture(CudaStream stream, Runnable work) {
        stream.beginRecording();
        try {
            work.run();
        } catch (RuntimeException | Error e) {
            stream.abandonRecording();
            throw e;
        }
        return stream.endRecording();
    }

    @Override
    public void replay() {
        stream.enterOutsideRecording("a recording cannot be replayed");
        if (closed) {
            throw new IllegalStateException("a recording of " + stream.device() + " was replayed after it was closed");
        }
        stream.check(CudaRuntime.cudaGraphLaunch(executable, stream.handle()), "cudaGraphLaunch");
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        forget.accept(this);
        stream.free(() -> {
            if (stream.enterToFree()) {
                // A replay may not have been done yet.
                stream.report(CudaRuntime.cudaStreamSynchronize(stream.handle()), "cudaStreamSynchronize");
                stream.report(CudaRuntime.cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
            }
        });
    }
}
