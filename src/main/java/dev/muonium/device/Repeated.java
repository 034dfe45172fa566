package dev.muonium.device;

import org.jspecify.annotations.Nullable;

/** A recording of a CPU: the work itself. */
final class Repeated implements Recording {
    private final CpuDevice device;
    private @Nullable Runnable work;

    Repeated(CpuDevice device, Runnable work) {
        this.device = device;
        this.work = work;
    }

    @Override
    public void replay() {
        device.requireOpen();
        Runnable current = work;
        if (current == null) {
            throw new IllegalStateException("a recording was replayed after it was closed");
        }
        current.run();
    }

    @Override
    public void close() {
        work = null;
    }
}
