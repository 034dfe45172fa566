package dev.muonium.jmh;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A {@link SideProcess} as the process that compares sees it: every call waits for the answer, so that one side works at a time. */
final class Child implements AutoCloseable {
    /** A thread pool's idle threads may spin for some milliseconds after their last work: they must be asleep when the other side begins. */
    private static final long SETTLE_MILLIS = 20;

    private final String name;
    private final Process process;
    private final Writer commands;
    private final BufferedReader answers;
    private final List<String> chatter = new ArrayList<>();

    /**
     * @param side whose {@code main} serves it
     * @param cpus that the process may use, one per thread
     * @param environment variables to set; those that preset a BLAS or OpenMP library, or the allocator, are taken away
     */
    Child(Class<? extends Side> side, List<Integer> cpus, List<String> jvmOptions, Map<String, String> environment)
            throws IOException {
        this.name = side.getSimpleName();
        List<String> command = new ArrayList<>(List.of(
                "taskset",
                "-c",
                String.join(",", cpus.stream().map(String::valueOf).toList())));
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC"));
        command.addAll(jvmOptions);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), side.getName()));
        command.add(Integer.toString(cpus.size()));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().keySet().removeIf(Child::presets);
        builder.environment().putAll(environment);
        process = builder.redirectError(new File("/dev/stderr")).start();
        commands = process.outputWriter(StandardCharsets.UTF_8);
        answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    }

    private static boolean presets(String variable) {
        return variable.matches(
                "(OPENBLAS|GOTO|OMP|GOMP|KMP|MKL|BLIS|ONEDNN|DNNL|ATEN|TORCH|MALLOC)_.*|GLIBC_TUNABLES");
    }

    String ask(String command) throws IOException {
        settle();
        commands.write(command + "\n");
        commands.flush();
        for (String line = answers.readLine(); line != null; line = answers.readLine()) {
            if (line.startsWith(SideProcess.ANSWER)) {
                return line.substring(SideProcess.ANSWER.length());
            }
            if (line.startsWith(SideProcess.FAILURE)) {
                throw new Refusal(name + " refused '" + command + "': " + line.substring(SideProcess.FAILURE.length()));
            }
            chatter.add(line);
        }
        throw new IOException("the process of " + name + " ended during '" + command + "'");
    }

    /** A turn of {@code times} steps over the first {@code matrices}, 0 for all. */
    Turn step(String way, int times, int matrices) throws IOException {
        return Turn.parse(ask("step " + way + " " + times + " " + matrices));
    }

    /** What the side's libraries printed by themselves. */
    List<String> chatter() {
        return chatter;
    }

    private static void settle() throws IOException {
        try {
            Thread.sleep(SETTLE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    @Override
    public void close() throws IOException {
        commands.close();
        process.destroy();
    }

    /** A side cannot do what it was asked for; it is as it was before. */
    static final class Refusal extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Refusal(String message) {
            super(message);
        }
    }
}
