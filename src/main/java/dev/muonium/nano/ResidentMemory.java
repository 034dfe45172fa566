package dev.muonium.nano;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The resident memory of this process, as the operating system counts it. */
public final class ResidentMemory {
    private static final Path STATUS = Path.of("/proc/self/status");

    private ResidentMemory() {}

    /** The most so far (Linux: {@code VmHWM}), in bytes; -1 where the system does not tell. */
    public static long peakBytes() {
        return read("VmHWM:");
    }

    /** Now (Linux: {@code VmRSS}), in bytes; -1 where the system does not tell. */
    public static long bytes() {
        return read("VmRSS:");
    }

    private static long read(String key) {
        try {
            return Files.isReadable(STATUS) ? bytes(Files.readAllLines(STATUS), key) : -1;
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
