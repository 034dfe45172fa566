package dev.muonium.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The root command: {@code ./muonium}. */
@Command(
        name = "muonium",
        mixinStandardHelpOptions = true,
        version = "muonium 0.1.0-SNAPSHOT",
        description = "Memory-light training for the JVM.")
public final class Main implements Runnable {
    @Spec
    private CommandSpec spec;

    private Main() {}

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    static CommandLine commandLine() {
        return new CommandLine(new Main());
    }

    /** @param args the words of the command line */
    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }
}
