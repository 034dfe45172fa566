package dev.muonium.cli;

import dev.muonium.MuoniumException;
import dev.muonium.checkpoint.SafetensorsException;
import java.io.PrintWriter;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Turns what went wrong into one sentence on stderr and an exit code. The stack trace is for {@code --debug}, or for the
 * system property {@code muonium.debug}.
 */
final class Failures implements IExecutionExceptionHandler, IParameterExceptionHandler {
    private static final String PREFIX = "muonium: ";

    @Override
    public int handleParseException(ParameterException e, String[] arguments) {
        PrintWriter err = e.getCommandLine().getErr();
        err.println(PREFIX + sentence(explain(e)));
        if (!UnmatchedArgumentException.printSuggestions(e, err)) {
            err.println("Try '" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help'.");
        }
        return ExitCode.USAGE;
    }

    private static String explain(ParameterException e) {
        CommandLine command = e.getCommandLine();
        if (e instanceof UnmatchedArgumentException unmatched
                && command.getParent() == null
                && !unmatched.isUnknownOption()) {
            return "there is no command '" + unmatched.getUnmatched().getFirst() + "'; there are "
                    + command.getSubcommands().entrySet().stream()
                            .filter(entry -> !entry.getValue()
                                    .getCommandSpec()
                                    .usageMessage()
                                    .hidden())
                            .map(Map.Entry::getKey)
                            .collect(Collectors.joining(", "));
        }
        return String.valueOf(e.getMessage());
    }

    @Override
    public int handleExecutionException(Exception e, CommandLine command, ParseResult parsed) {
        return report(e, command.getErr(), debug(command));
    }

    /** Prints the sentence for a failure and returns its exit code. */
    static int report(Throwable failure, PrintWriter err, boolean debug) {
        int code = switch (failure) {
            case UserMistake e -> say(err, String.valueOf(e.getMessage()), ExitCode.USAGE);
            case SafetensorsException e -> say(err, String.valueOf(e.getMessage()), ExitCode.USAGE);
            case MuoniumException e -> say(err, String.valueOf(e.getMessage()), ExitCode.UNAVAILABLE);
            case OutOfMemoryError e ->
                say(
                        err,
                        "the Java heap of " + Runtime.getRuntime().maxMemory() / (1 << 20) + " MiB is too small ("
                                + e.getMessage() + "); allow more with MUONIUM_JAVA_OPTS=-Xmx4g",
                        ExitCode.UNAVAILABLE);
            default ->
                say(
                        err,
                        "this is a mistake in Muonium, please report it: " + failure
                                + (debug ? "" : " (--debug shows where)"),
                        ExitCode.INTERNAL);
        };
        if (debug) {
            failure.printStackTrace(err);
        }
        err.flush();
        return code;
    }

    private static int say(PrintWriter err, String message, int code) {
        err.println(PREFIX + sentence(message));
        return code;
    }

    private static String sentence(String message) {
        String trimmed = message.strip();
        boolean endsInTable = trimmed.contains("\n");
        return endsInTable || trimmed.endsWith(".") || trimmed.endsWith("?") ? trimmed : trimmed + ".";
    }

    private static boolean debug(CommandLine command) {
        CommandLine root = command;
        while (root.getParent() != null) {
            root = root.getParent();
        }
        return root.getCommand() instanceof Main main && main.debug();
    }
}
