package dev.muonium.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The resident memory of this process, as the operating system counts it. */
public final class ResidentMemory {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final Path MEMORY = Path.of("/proc/meminfo");

    private ResidentMemory() {}

    /** The most so far (Linux: {@code VmHWM}), in bytes; -1 where the system does not tell. */
    public static long peakBytes() {
        return read(STATUS, "VmHWM:");
    }

    /** Now (Linux: {@code VmRSS}), in bytes; -1 where the system does not tell. */
    public static long bytes() {
        return read(STATUS, "VmRSS:");
    }

    /** What the system could give without swapping (Linux: {@code MemAvailable}), in bytes; -1 where it does not tell. */
    public static long availableBytes() {
        return read(MEMORY, "MemAvailable:");
    }

    /**
     * What this process has beside a ledger, for a {@link MemoryReport}: the system's count, the JVM's heap, and what can be had. What the system does not
     * tell is left out.
     *
     * @param counted bytes of host memory that the ledger has, all of them resident
     */
    public static Map<String, Long> beside(long counted) {
        Map<String, Long> beside = new LinkedHashMap<>();
        long resident = bytes();
        if (resident >= 0) {
            beside.put("resident memory of this process, all of it", resident);
            beside.put("of that about as much for the JVM, libraries and stacks", Math.max(0, resident - counted));
        }
        Runtime runtime = Runtime.getRuntime();
        beside.put("Java heap, as large as it is now (at most " + runtime.maxMemory() + ")", runtime.totalMemory());
        long available = availableBytes();
        if (available >= 0) {
            beside.put("available from the system without swapping", available);
        }
        return beside;
    }

    private static long read(Path file, String key) {
        try {
            return Files.isReadable(file) ? bytes(Files.readAllLines(file), key) : -1;
        } catch (IOException e) {
            return -1;
        }
    }

    /** From lines as {@code VmHWM:    1234 kB}. */
    static long bytes(List<String> lines, String key) {
        for (String line : lines) {
            if (line.startsWith(key)) {
                String[] words = line.substring(key.length()).trim().split("\\s+");
                return Long.parseLong(words[0]) * 1024;
            }
        }
        return -1;
    }
}
