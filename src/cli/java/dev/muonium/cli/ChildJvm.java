package dev.muonium.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs this same program in a process of its own, with the JVM options of this one: the peak of a process's memory never
 * falls, so each measurement of it needs a fresh one.
 */
final class ChildJvm {
    private ChildJvm() {}

    /**
     * Runs the program and waits. Its terminal is ours; it ends with this process, if that ends first.
     *
     * @param what it does, for messages
     * @param arguments the words of its command line
     * @throws ChildFailed if its exit code is not 0; it has printed why
     * @throws InterruptedException if this thread is interrupted; the process is ended then
     */
    static void run(String what, List<String> arguments) throws ChildFailed, InterruptedException {
        Process process;
        try {
            process = new ProcessBuilder(command(arguments)).inheritIO().start();
        } catch (IOException e) {
            throw new ChildFailed(what + " could not be started: " + e.getMessage(), ExitCode.UNAVAILABLE);
        }
        Thread ender = new Thread(process::destroyForcibly, "end of " + what);
        Runtime.getRuntime().addShutdownHook(ender);
        try {
            int code = process.waitFor();
            if (code != ExitCode.OK) {
                throw new ChildFailed(explain(what, code), code > ExitCode.INTERNAL ? ExitCode.UNAVAILABLE : code);
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            throw e;
        } finally {
            removeHook(ender);
        }
    }

    /** A child that did not end well. */
    static final class ChildFailed extends Exception {
        private static final long serialVersionUID = 1L;

        private final int exitCode;

        ChildFailed(String sentence, int exitCode) {
            super(sentence);
            this.exitCode = exitCode;
        }

        int exitCode() {
            return exitCode;
        }
    }

    static List<String> command(List<String> arguments) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(JvmOptions.own());
        Module module = ChildJvm.class.getModule();
        if (module.isNamed()) {
            // The class path has the CUDA backend, which is no module.
            command.add("--class-path");
            command.add(System.getProperty("java.class.path"));
            command.add("--module-path");
            command.add(System.getProperty("jdk.module.path"));
            command.add("--module");
            command.add(module.getName() + "/" + Main.class.getName());
        } else {
            command.add("-cp");
            command.add(System.getProperty("java.class.path"));
            command.add(Main.class.getName());
        }
        command.addAll(arguments);
        return command;
    }

    private static String explain(String what, int code) {
        return switch (code) {
            case 128 + 9 ->
                what + " was killed, most likely because the system ran out of memory; take a smaller preset or batch";
            case 128 + 2, 128 + 15 -> what + " was ended from outside";
            case 128 + 6, 128 + 11 ->
                what + " crashed in native code (exit code " + code + "); the JVM wrote a file hs_err_pid*.log";
            default -> what + " failed (exit code " + code + "); its own message stands above";
        };
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The JVM is ending already, and runs the hook.
        }
    }
}
