package dev.muonium.memory;

import dev.muonium.events.Events;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

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
    private final Set<Entry> held = new HashSet<>();
    private final boolean isReal;

    /** Makes an empty ledger. */
    public Ledger() {
        this(true);
    }

    /** @param isReal false for memory that is only planned, and of which a flight recorder is told nothing */
    Ledger(boolean isReal) {
        this.isReal = isReal;
    }

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
     * What it holds, and who has the rest.
     *
     * @param device what the report calls the owner of this ledger
     * @param outside bytes that this ledger does not count, by what they are
     */
    public synchronized MemoryReport report(String device, Map<String, Long> outside) {
        Map<Purpose, MemoryReport.Use> purposes = new EnumMap<>(Purpose.class);
        for (Purpose purpose : Purpose.values()) {
            int i = purpose.ordinal();
            if (peakOf[i] > 0) {
                purposes.put(purpose, new MemoryReport.Use(live[i], peakOf[i]));
            }
        }
        return new MemoryReport(device, total, peak, purposes, largest(MemoryReport.LARGEST), outside);
    }

    private List<MemoryReport.Allocation> largest(int count) {
        return held.stream()
                .map(entry -> new MemoryReport.Allocation(entry.purpose, entry.name, entry.bytes))
                .sorted(Comparator.comparingLong(MemoryReport.Allocation::bytes)
                        .reversed()
                        .thenComparing(MemoryReport.Allocation::name))
                .limit(count)
                .toList();
    }

    /**
     * Enters memory; for implementers of {@link Allocator}, and for what is not a tensor's, such as what a native library holds.
     *
     * @param name for reports
     * @param bytes what it has now; {@link Entry#resize} changes it
     */
    public Entry enter(Purpose purpose, String name, long bytes) {
        Entry entry = new Entry(purpose, name);
        entry.resize(bytes);
        return entry;
    }

    /** An entry of its own; closing takes it back. Thread-safe. */
    public final class Entry implements AutoCloseable {
        private final Purpose purpose;
        private final String name;
        private long bytes; // guarded by the ledger

        private Entry(Purpose purpose, String name) {
            this.purpose = purpose;
            this.name = name;
        }

        /** Sets how much there is now. */
        public void resize(long now) {
            long change;
            long after;
            synchronized (Ledger.this) {
                change = now - bytes;
                bytes = now;
                if (now == 0) {
                    held.remove(this);
                } else {
                    held.add(this);
                }
                change(purpose, change);
                after = total;
            }
            if (isReal && change > 0) {
                Events.allocated(purpose.name(), name, change, after);
            } else if (isReal && change < 0) {
                Events.freed(purpose.name(), name, -change, after);
            }
        }

        @Override
        public void close() {
            resize(0);
        }
    }

    /** Under the lock. */
    private void change(Purpose purpose, long bytes) {
        int i = purpose.ordinal();
        live[i] += bytes;
        peakOf[i] = Math.max(peakOf[i], live[i]);
        total += isInMemory(purpose) ? bytes : 0;
        peak = Math.max(peak, total);
        allocations += bytes > 0 ? 1 : 0;
    }

    private static boolean isInMemory(Purpose purpose) {
        return purpose != Purpose.OFFLOADED_STATE;
    }

    @Override
    public synchronized String toString() {
        return "total " + total + " bytes, peak " + peak + " bytes, " + byPurpose();
    }
}
