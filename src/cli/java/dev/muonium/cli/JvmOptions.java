package dev.muonium.cli;

import java.lang.management.ManagementFactory;
import java.util.List;

/** The options that this JVM was started with. */
final class JvmOptions {
    private JvmOptions() {}

    /** All but the module path and the main module (which a new JVM gets by its command), and agents (whose port or file is taken). */
    static List<String> own() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> !option.startsWith("--module-path")
                        && !option.startsWith("-Djdk.module.")
                        && !option.startsWith("-agent")
                        && !option.startsWith("-javaagent"))
                .toList();
    }
}
