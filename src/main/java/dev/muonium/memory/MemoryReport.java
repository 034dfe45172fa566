package dev.muonium.memory;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Who holds memory: what a device's ledger counts, by purpose and by its largest entries, and what is outside of it. {@link #toString} is a table for people; an
 * {@link dev.muonium.OutOfDeviceMemoryException} carries it in its message. Immutable, a picture of one moment.
 *
 * @param device whose ledger it is
 * @param total bytes that the ledger holds in memory
 * @param peak the most that it has held
 * @param purposes what it holds for each purpose, without those that never had any; state in a file is among them, but not in {@code total}
 * @param largest the largest entries, the largest first
 * @param outside bytes of what the ledger does not count, by what they are; some are estimates, and some contain others
 */
public record MemoryReport(
        String device,
        long total,
        long peak,
        Map<Purpose, Use> purposes,
        List<Allocation> largest,
        Map<String, Long> outside) {
    /** How many of the largest entries a report has. */
    public static final int LARGEST = 8;

    /** Copies the collections. */
    public MemoryReport {
        purposes = Collections.unmodifiableMap(new LinkedHashMap<>(purposes));
        largest = List.copyOf(largest);
        outside = Collections.unmodifiableMap(new LinkedHashMap<>(outside));
    }

    /**
     * Bytes for one purpose.
     *
     * @param bytes now
     * @param peak the most so far
     */
    public record Use(long bytes, long peak) {}

    /**
     * An entry of the ledger.
     *
     * @param name the tensor's, or what else it is
     */
    public record Allocation(Purpose purpose, String name, long bytes) {}

    /** The table: a line for each purpose, for each of the largest entries, and for what is outside; bytes on the left. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        line(text, total, "held by the ledger of " + device + ", at most " + number(peak) + " so far");
        purposes.forEach((purpose, use) -> line(
                text,
                use.bytes(),
                words(purpose) + (use.peak() > use.bytes() ? ", at most " + number(use.peak()) + " so far" : "")));
        if (!largest.isEmpty()) {
            text.append("the largest of it\n");
            largest.forEach(
                    entry -> line(text, entry.bytes(), "'" + entry.name() + "' (" + words(entry.purpose()) + ")"));
        }
        if (!outside.isEmpty()) {
            text.append("outside the ledger\n");
            outside.forEach((what, bytes) -> line(text, bytes, what));
        }
        return text.toString().stripTrailing();
    }

    private static void line(StringBuilder text, long bytes, String what) {
        text.append(String.format(Locale.ROOT, "%,20d  %s%n", bytes, what));
    }

    private static String number(long bytes) {
        return String.format(Locale.ROOT, "%,d", bytes);
    }

    private static String words(Purpose purpose) {
        return purpose.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
