package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.OutOfDeviceMemoryException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

final class MainTest {
    @Test
    void printsItsVersion() {
        CommandLineRun run = CommandLineRun.of("--version");

        assertEquals(ExitCode.OK, run.exitCode());
        assertTrue(run.out().matches("muonium \\d+\\.\\d+\\.\\d+(-SNAPSHOT)?\\R"), run.out());
    }

    @Test
    void everyCommandHasHelpWithExamples() {
        for (Map.Entry<String, CommandLine> command :
                Main.commandLine().getSubcommands().entrySet()) {
            if (command.getValue().getCommandSpec().usageMessage().hidden()) {
                continue;
            }
            CommandLineRun run = CommandLineRun.of(command.getKey(), "--help");

            assertEquals(ExitCode.OK, run.exitCode(), command.getKey());
            assertTrue(run.out().contains("Examples:"), run.out());
            assertTrue(run.out().contains("  muonium " + command.getKey()), run.out());
        }
    }

    @Test
    void theHelpListsTheExitCodes() {
        String help = CommandLineRun.of("--help").out();

        assertTrue(help.contains("Exit codes:"), help);
        assertTrue(help.contains("  3     this machine lacks a device, a native library or memory"), help);
    }

    @Test
    void anUnknownOptionIsAUsersMistakeWithASuggestion() {
        CommandLineRun run = CommandLineRun.of("--verson");

        assertEquals(ExitCode.USAGE, run.exitCode());
        assertEquals("", run.out());
        assertTrue(run.err().startsWith("muonium: Unknown option: '--verson'."), run.err());
        assertTrue(run.err().contains("--version"), run.err());
    }

    @Test
    void anUnknownCommandIsAUsersMistakeWithASuggestion() {
        CommandLineRun run = CommandLineRun.of("doktor");

        assertEquals(ExitCode.USAGE, run.exitCode());
        assertTrue(
                run.err()
                        .startsWith("muonium: there is no command 'doktor'; there are compare, train, plan, inspect,"
                                + " conform, doctor."),
                run.err());
    }

    @Test
    void failuresHaveTheirExitCodesAndOneSentence() {
        assertReported(ExitCode.USAGE, "muonium: there is no such preset.", new UserMistake("there is no such preset"));
        assertReported(ExitCode.UNAVAILABLE, "muonium: no driver.", new DeviceUnavailableException("no driver."));
        assertReported(
                ExitCode.INTERNAL,
                "muonium: this is a mistake in Muonium, please report it: java.lang.IllegalStateException: odd (--debug"
                        + " shows where).",
                new IllegalStateException("odd"));
    }

    @Test
    void debugShowsTheTrace() {
        StringWriter err = new StringWriter();

        Failures.report(new UserMistake("wrong"), new PrintWriter(err), true);

        assertTrue(err.toString().contains("\tat dev.muonium.cli.MainTest"), err.toString());
    }

    private static void assertReported(int code, String sentence, Throwable failure) {
        StringWriter err = new StringWriter();

        assertEquals(code, Failures.report(failure, new PrintWriter(err), false));

        assertEquals(sentence, err.toString().strip());
        assertFalse(err.toString().contains("\tat "), err.toString());
    }

    /** What follows the sentence is a table, whose last line needs no full stop. */
    @Test
    void memoryThatIsMissingIsSaidWithItsReport() {
        StringWriter text = new StringWriter();

        int code = Failures.report(
                new OutOfDeviceMemoryException("the system has no 64 bytes; what there is:\n  7  weights", 64, 1),
                new PrintWriter(text, true),
                false);

        assertEquals(ExitCode.UNAVAILABLE, code);
        assertEquals(
                "muonium: the system has no 64 bytes; what there is:\n  7  weights",
                text.toString().strip());
    }
}
