package dev.muonium.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The root command: {@code ./muonium}. */
@Command(
        name = "muonium",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = "Memory-light training for the JVM: optimizer state in 8 bits, off the heap.",
        synopsisSubcommandLabel = "COMMAND",
        commandListHeading = "%nCommands:%n",
        optionListHeading = "%nOptions:%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            ExitCode.OK + ":done",
            ExitCode.CHECK_FAILED + ":a check failed",
            ExitCode.USAGE + ":the command line, or a file that it names, is not right",
            ExitCode.UNAVAILABLE + ":this machine lacks a device, a native library or memory",
            ExitCode.INTERNAL + ":a mistake in Muonium itself",
            ExitCode.INTERRUPTED + ":ended by Ctrl-C"
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium compare            train a small GPT with FP32 and with INT8 state",
            "  muonium doctor             say what this machine offers",
            "  muonium COMMAND --help     options and examples of a command"
        },
        subcommands = {
            CompareCommand.class,
            TrainCommand.class,
            PlanCommand.class,
            InspectCommand.class,
            ConformCommand.class,
            DoctorCommand.class,
            RunCommand.class
        })
public final class Main implements Runnable {
    @Spec
    private CommandSpec spec;

    @Option(names = "--debug", scope = ScopeType.INHERIT, description = "Show the stack trace of a failure.")
    private boolean debug;

    private Main() {}

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    boolean debug() {
        return debug || Boolean.getBoolean("muonium.debug");
    }

    static CommandLine commandLine() {
        Failures failures = new Failures();
        return new CommandLine(new Main())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpAutoWidth(true)
                .setParameterExceptionHandler(failures)
                .setExecutionExceptionHandler(failures);
    }

    /** @param args the words of the command line */
    public static void main(String[] args) {
        CommandLine commandLine = commandLine();
        int code;
        try {
            code = commandLine.execute(args);
        } catch (Error e) {
            // picocli hands exceptions to Failures, but lets errors through: a native library that does not link, no
            // memory.
            Main main = commandLine.getCommand();
            code = Failures.report(e, commandLine.getErr(), main.debug());
        }
        System.exit(code);
    }
}
