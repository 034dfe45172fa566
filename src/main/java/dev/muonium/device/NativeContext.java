package dev.muonium.device;

import dev.muonium.NativeException;
import dev.muonium.bindings.mu.Muonium;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/**
 * A {@code mu_context}. Its handle lives in an arena, so that a call that comes after (or during) close is an
 * {@link IllegalStateException} and never reaches freed memory.
 */
class NativeContext implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final MemorySegment handle;
    private volatile boolean closed;

    NativeContext(MemorySegment address, Consumer<MemorySegment> destroy) {
        this.handle = address.reinterpret(arena, destroy);
    }

    /** Opens a context of the CPU whose kernels are of a tier that the processor can run. */
    static NativeContext open(CpuTier tier) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            refuse(
                    Muonium.mu_context_create(
                            Muonium.MU_BACKEND_CPU(), MemorySegment.NULL, 0, MemorySegment.NULL, tier.code(), out),
                    "mu_context_create");
            return new NativeContext(out.get(ValueLayout.ADDRESS, 0), NativeContext::destroy);
        }
    }

    /** The {@code mu_context*}, for a call that is made at once. */
    MemorySegment handle() {
        if (closed) {
            throw new IllegalStateException("the kernels of a device were used after the device was closed");
        }
        return handle;
    }

    CpuTier tier() {
        return CpuTier.ofCode(Muonium.mu_context_tier(handle()));
    }

    /** Turns a status that is not {@code MU_OK} into an exception with the library's own text. */
    void check(int status, String function) {
        refuse(status, function);
    }

    private static void refuse(int status, String function) {
        if (status != Muonium.MU_OK()) {
            throw new NativeException(function, status, Muonium.mu_last_error().getString(0));
        }
    }

    private static void destroy(MemorySegment context) {
        refuse(Muonium.mu_context_destroy(context), "mu_context_destroy");
    }

    @Override
    public synchronized void close() {
        closed = true;
        if (arena.scope().isAlive()) { // still after a close that another thread's call kept from its end
            arena.close();
        }
    }
}
