package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code train --save}, {@code --resume} and {@code inspect}. */
final class SavedRunTest {
    @TempDir
    private Path folder;

    private MicroPreset micro;
    private Path saved;

    @BeforeEach
    void writeThePreset() throws IOException {
        micro = MicroPreset.in(folder);
        saved = folder.resolve("saved");
    }

    private CommandLineRun train(String... options) {
        List<String> words = new ArrayList<>(List.of("train"));
        words.addAll(List.of(
                "--preset", micro.preset().toString(), "--data", micro.text().toString()));
        words.addAll(List.of(options));
        return CommandLineRun.of(words.toArray(String[]::new));
    }

    private static String heldOut(CommandLineRun run) {
        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        return run.out()
                .lines()
                .filter(line -> line.startsWith("held-out"))
                .findFirst()
                .orElseThrow()
                .split(",")[0];
    }

    @Test
    void aRunGoesOnWhereItWasSaved() throws IOException {
        String whole = heldOut(train());
        CommandLineRun first = train("--save", saved.toString(), "--set", "checkpoint_every=2");
        assertEquals(whole, heldOut(first));
        assertTrue(first.out().contains("checkpoints: " + saved), first.out());
        Files.writeString(saved.resolve("step-00000004/model.safetensors"), "damaged");
        CommandLineRun second = train("--save", saved.toString(), "--resume");
        assertTrue(
                second.out()
                        .contains("skipped: '" + saved.resolve("step-00000004/model.safetensors") + "' has 7 bytes"),
                second.out());
        assertTrue(second.out().contains("goes on at step 2"), second.out());
        assertEquals(whole, heldOut(second));
    }

    @Test
    void mistakesAreNamed() {
        assertMistake(train("--resume"), "--resume needs the folder of the checkpoints");
        assertMistake(train("--save", saved.toString(), "--resume"), "there is no valid checkpoint in '" + saved + "'");
        heldOut(train("--save", saved.toString()));
        assertMistake(train("--save", saved.toString()), "there are checkpoints in '" + saved + "' already");
        assertMistake(
                train("--save", saved.toString(), "--resume", "--set", "matrix_lr=0.5"),
                "another configuration: matrix_lr (");
    }

    @Test
    void inspectShowsWhatIsInside() {
        heldOut(train("--save", saved.toString()));
        CommandLineRun all = CommandLineRun.of("inspect", saved.toString());
        assertEquals("step-00000004  valid, step 4\n", all.out());
        CommandLineRun one =
                CommandLineRun.of("inspect", saved.resolve("step-00000004").toString());
        assertTrue(one.out().startsWith("valid checkpoint of step 4\n"), one.out());
        assertTrue(one.out().contains("  matrix_lr = "), one.out());
        CommandLineRun file = CommandLineRun.of(
                "inspect", saved.resolve("step-00000004/optimizer.safetensors").toString());
        assertTrue(file.out().contains("int8_linear, block 128"), file.out());
        assertTrue(file.out().contains("blocks.0.attn.q.momentum_buffer.scales"), file.out());
        assertMistake(CommandLineRun.of("inspect", folder.resolve("none").toString()), "there is no '");
        assertMistake(CommandLineRun.of("inspect", micro.text().toString()), "is not a safetensors file");
        assertMistake(CommandLineRun.of("inspect", folder.toString()), "there is no checkpoint in '");
    }

    private static void assertMistake(CommandLineRun run, String message) {
        assertTrue(run.exitCode() != ExitCode.OK, run.out());
        assertTrue(run.err().contains(message), run.err());
    }
}
