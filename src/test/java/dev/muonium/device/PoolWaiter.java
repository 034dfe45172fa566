package dev.muonium.device;

import java.util.Arrays;

/** Waits for a thread to wait for the pool, so that a test knows where it is. */
public final class PoolWaiter {
    private PoolWaiter() {}

    /**
     * Returns when {@code thread} stands in {@link Workers#run} until whoever has the pool now gives it up.
     *
     * @throws IllegalStateException if it ends before that
     */
    public static void await(Thread thread) {
        while (!(thread.getState() == Thread.State.BLOCKED && isInPool(thread))) {
            if (thread.getState() == Thread.State.TERMINATED) {
                throw new IllegalStateException("the thread ended without waiting for the pool");
            }
            try {
                Thread.sleep(1);
            } catch (InterruptedException e) {
                throw new IllegalStateException("the thread does not come to wait for the pool", e);
            }
        }
    }

    private static boolean isInPool(Thread thread) {
        return Arrays.stream(thread.getStackTrace())
                .anyMatch(frame -> frame.getClassName().equals(Workers.class.getName()));
    }
}
