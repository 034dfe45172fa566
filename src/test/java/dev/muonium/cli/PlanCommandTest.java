package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PlanCommandTest {
    @TempDir
    private Path folder;

    private CommandLineRun plan(String... options) {
        List<String> words = new ArrayList<>(List.of("plan", "--out", folder.toString()));
        words.addAll(List.of(options));
        return CommandLineRun.of(words.toArray(String[]::new));
    }

    @Test
    void saysHowTheLargestPresetFitsAGpu() {
        CommandLineRun run = plan("--preset", "medium-3b", "--device", "cuda", "--budget", "24GB");
        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().contains("medium-3b fits 22.35 GiB as it is: "), run.out());
        assertTrue(run.out().contains("+ activation checkpointing"), run.out());
        assertTrue(Files.exists(folder.resolve("plan.png")) && Files.exists(folder.resolve("plan.svg")));
    }

    @Test
    void findsTechniquesThatMakeAModelFit() {
        CommandLineRun run = plan("--preset", "d20-e3-full", "--set", "use_8bit_optim=false", "--budget", "4GB");
        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().contains("d20-e3-full fits 3.73 GiB with 8-bit state"), run.out());
    }

    @Test
    void saysWhenNothingFits() {
        CommandLineRun run = plan("--preset", "d20-e3-full", "--budget", "1GB");
        assertEquals(ExitCode.CHECK_FAILED, run.exitCode(), run.err());
        assertTrue(
                run.out()
                        .contains("d20-e3-full does not fit 953.67 MiB with any set of techniques; the least it needs"
                                + " is"),
                run.out());
    }

    @Test
    void mistakesAreNamed() {
        assertMistake(plan("--budget", "lots"), "--budget: 'lots' is no amount of memory");
        assertMistake(plan("--device", "tpu"), "--device is 'tpu'; a plan is made for cpu or cuda");
        assertMistake(plan("--preset", "huge"), "there is no preset 'huge'");
        assertMistake(plan("--threads", "0"), "0");
    }

    private static void assertMistake(CommandLineRun run, String message) {
        assertEquals(ExitCode.USAGE, run.exitCode(), run.out() + run.err());
        assertTrue(run.err().contains(message), run.err());
    }
}
