package dev.muonium.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** One run of the command line within the tests' JVM: what it printed, and its exit code. */
record CommandLineRun(int exitCode, String out, String err) {
    static CommandLineRun of(String... words) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int code = Main.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .execute(words);
        return new CommandLineRun(code, out.toString(), err.toString());
    }
}
