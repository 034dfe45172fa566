package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

final class MainTest {
    @Test
    void printsItsVersion() {
        var out = new StringWriter();

        int exit = Main.commandLine().setOut(new PrintWriter(out)).execute("--version");

        assertEquals(CommandLine.ExitCode.OK, exit);
        assertTrue(out.toString().startsWith("muonium "), out.toString());
    }
}
