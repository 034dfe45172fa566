package dev.muonium.device;

/**
 * Work that was recorded by {@link Device#record} and can be done any number of times: a graph on a GPU, the work itself on a
 * CPU. What it reads and writes lies where it lay when it was recorded. Closed by whoever recorded it, before the memory that
 * it uses and before the device. Not thread-safe.
 */
public interface Recording extends AutoCloseable {
    /**
     * Does the work once more, after everything that was started before; on a GPU it may not be done when this returns.
     *
     * @throws IllegalStateException after close
     */
    void replay();

    @Override
    void close();
}
