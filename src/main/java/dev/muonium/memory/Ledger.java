package dev.muonium.memory;

import java.util.EnumMap;
import java.util.Map;

/**
 * Counts every byte that was asked of the system, by {@link Purpose}, and the peak of their sum; what lies in a file
 * ({@link Purpose#OFFLOADED_STATE}) is counted by its purpose, but not in the sum.
 *
 * <p>An entry is made where memory is allocated and taken back where it is freed, so that the total is zero once every
 * owner is closed. Memory that a caller owns and lends (weights and gradients handed to an optimizer) is not in it.
 *
 * <p>Thread-safe.
 */
public final class Ledger {
    private final long[] live = new long[Purpose.values().length];
    private final long[] peakOf = new long[Purpose.values().length];
    private long total;
    private long peak;
    private long allocations;

    /** Makes an empty ledger. */
    public Ledger() {}

    /** Bytes that are allocated now for one purpose. */
    public synchronized long bytes(Purpose purpose) {
        return live[purpose.ordinal()];
    }

    /** Bytes that are allocated now. */
    public synchronized long total() {
        return total;
    }

    /** The largest {@link #total()} so far. */
    public synchronized long peak() {
        return peak;
    }

    /** The largest {@link #bytes(Purpose)} so far. */
    public synchronized long peak(Purpose purpose) {
        return peakOf[purpose.ordinal()];
    }

    /** How many allocations were ever made; unchanged over a stretch of code that allocates nothing. */
    public synchronized long allocations() {
        return allocations;
    }

    /** Bytes that are allocated now, by purpose; purposes without any are left out. */
    public synchronized Map<Purpose, Long> byPurpose() {
        Map<Purpose, Long> map = new EnumMap<>(Purpose.class);
        for (Purpose purpose : Purpose.values()) {
            if (live[purpose.ordinal()] != 0) {
                map.put(purpose, live[purpose.ordinal()]);
            }
        }
        return map;
    }

    /**
     * Enters memory that is not a tensor's, such as what a native library holds; for implementers of {@link Allocator}.
     *
     * @param bytes what it has now; {@link Entry#resize} changes it
     */
    public Entry enter(Purpose purpose, long bytes) {
        return new Entry(purpose, bytes);
    }

    /** An entry of its own; closing takes it back. Thread-safe. */
    public final class Entry implements AutoCloseable {
        private final Purpose purpose;
        private long bytes;

        private Entry(Purpose purpose, long bytes) {
            this.purpose = purpose;
            if (bytes > 0) {
                allocated(purpose, bytes);
            }
            this.bytes = bytes;
        }

        /** Sets how much there is now. */
        public void resize(long now) {
            synchronized (Ledger.this) {
                if (now > bytes) {
                    allocated(purpose, now - bytes);
                } else if (now < bytes) {
                    freed(purpose, bytes - now);
                }
                bytes = now;
            }
        }

        @Override
        public void close() {
            resize(0);
        }
    }

    synchronized void allocated(Purpose purpose, long bytes) {
        int i = purpose.ordinal();
        live[i] += bytes;
        peakOf[i] = Math.max(peakOf[i], live[i]);
        total += isInMemory(purpose) ? bytes : 0;
        peak = Math.max(peak, total);
        allocations++;
    }

    synchronized void freed(Purpose purpose, long bytes) {
        live[purpose.ordinal()] -= bytes;
        total -= isInMemory(purpose) ? bytes : 0;
    }

    private static boolean isInMemory(Purpose purpose) {
        return purpose != Purpose.OFFLOADED_STATE;
    }

    @Override
    public synchronized String toString() {
        return "total " + total + " bytes, peak " + peak + " bytes, " + byPurpose();
    }
}
