package dev.muonium.jmh;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The processor and memory of this machine, as Linux describes them. */
final class Processor {
    private Processor() {}

    /** Its maker's name for it. */
    static String name() throws IOException {
        return field(Path.of("/proc/cpuinfo"), "model name");
    }

    /** Bytes that could be used without swapping. */
    static long availableMemory() throws IOException {
        return 1024
                * Long.parseLong(field(Path.of("/proc/meminfo"), "MemAvailable").replace(" kB", ""));
    }

    private static String field(Path file, String name) throws IOException {
        try (var lines = Files.lines(file)) {
            return lines.filter(line -> line.startsWith(name))
                    .map(line -> line.substring(line.indexOf(':') + 1).strip())
                    .findFirst()
                    .orElseThrow(() -> new IOException(file + " has no line of " + name));
        }
    }
}
