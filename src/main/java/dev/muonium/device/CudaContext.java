package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.NativeException;
import dev.muonium.bindings.mu.Muonium;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/** A {@code mu_context} of the CUDA backend: its calls go into the device's stream. */
final class CudaContext extends NativeContext {
    private final CudaStream stream;
    private final CudaMemory memory;

    private CudaContext(MemorySegment address, CudaStream stream, CudaMemory memory) {
        super(address, handle -> destroy(handle, stream));
        this.stream = stream;
        this.memory = memory;
    }

    static CudaContext open(Path backend, CudaStream stream, CudaMemory memory) {
        stream.enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = Muonium.mu_context_create(
                    Muonium.MU_BACKEND_CUDA(),
                    arena.allocateFrom(backend.toAbsolutePath().toString()),
                    stream.ordinal(),
                    stream.handle(),
                    Muonium.MU_TIER_AUTO(),
                    out);
            if (status == Muonium.MU_BACKEND_UNAVAILABLE()) {
                throw new DeviceUnavailableException("the CUDA device is not available: "
                        + Muonium.mu_last_error().getString(0) + "; take Muonium and its CUDA backend from one build");
            }
            if (status != Muonium.MU_OK()) {
                throw stream.failure(
                        "mu_context_create", status, Muonium.mu_last_error().getString(0));
            }
            return new CudaContext(out.get(ValueLayout.ADDRESS, 0), stream, memory);
        }
    }

    /** The backend makes the device current itself. */
    @Override
    MemorySegment handle() {
        stream.requireUsable();
        return super.handle();
    }

    @Override
    void check(int status, String function) {
        if (status == Muonium.MU_OK()) {
            stream.started(function);
            return;
        }
        String text = Muonium.mu_last_error().getString(0);
        if (status == Muonium.MU_OUT_OF_MEMORY()) {
            throw memory.outOfMemory(0, "the scratch of " + function + " (" + text + ")");
        }
        if (status == Muonium.MU_INVALID_ARGUMENT() || status == Muonium.MU_UNSUPPORTED()) {
            throw new NativeException(function, status, text); // nothing was started, so nothing can be wrong elsewhere
        }
        throw stream.failure(function, status, text);
    }

    /** Bytes of device memory that the backend holds for this context. */
    long bytes() {
        return Muonium.mu_context_device_bytes(super.handle());
    }

    private static void destroy(MemorySegment handle, CudaStream stream) {
        int status = Muonium.mu_context_destroy(handle);
        if (status != Muonium.MU_OK() && !stream.isBroken()) {
            throw stream.failure(
                    "mu_context_destroy", status, Muonium.mu_last_error().getString(0));
        }
    }
}
