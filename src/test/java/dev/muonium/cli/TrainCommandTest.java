package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.Ledger;
import dev.muonium.nano.TrainStep;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TrainCommandTest {
    @TempDir
    private Path folder;

    private MicroPreset micro;

    @BeforeEach
    void writeThePreset() throws IOException {
        micro = MicroPreset.in(folder);
    }

    @Test
    void trainsAndShowsASample() {
        CommandLineRun run = train();

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().startsWith("micro: 81,920 parameters, 4 steps of 32 tokens of text.txt, int8"), run.out());
        assertTrue(run.out().contains("held-out loss "), run.out());
        assertTrue(run.out().contains("memory: "), run.out());
        assertTrue(run.out().contains("\nThe "), run.out());
    }

    @Test
    void theFormatOfTheStateCanBeChosen() {
        assertTrue(train("--state", "fp32").out().contains("fp32 optimizer state"));
        assertTrue(train("--state", "INT8").out().contains("int8 optimizer state"));
        assertMistake(train("--state", "int4"), "Invalid value for option '--state'");
    }

    @Test
    void theSeedDecidesTheLoss() {
        String once = heldOut(train("--seed", "5"));
        assertEquals(once, heldOut(train("--seed", "5", "--threads", "1")));
        assertFalse(once.equals(heldOut(train("--seed", "6"))));
    }

    @Test
    void updatesAreRecordedAtTheStepsThatAreAskedFor() {
        Path records = folder.resolve("records");
        CommandLineRun run = train("--record-updates", records.toString(), "--record-at", "2,4");
        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(Files.exists(records.resolve("updates-000002.safetensors")));
        assertTrue(Files.exists(records.resolve("updates-000004.safetensors")));
        assertFalse(Files.exists(records.resolve("updates-000001.safetensors")));
        assertEquals(heldOut(train()), heldOut(run), "recording changes no result");

        assertEquals(ExitCode.OK, train("--record-updates", records.toString()).exitCode());
        assertTrue(Files.exists(records.resolve("updates-000003.safetensors")), "every quarter of four steps");

        assertMistake(train("--record-at", "1"), "--record-at needs the folder of the files");
        assertMistake(train("--record-updates", records.toString(), "--record-at", "0"), "they begin at 1");
        assertMistake(
                train("--record-updates", records.toString(), "--set", "use_galore=true"),
                "cannot be recorded with GaLore");
        assertMistake(
                train("--record-updates", records.toString(), "--set", "matrix_optimizer=adamw"),
                "only Muon's updates can be recorded");
    }

    @Test
    void theScheduleOfNewtonSchulzCanBeChosen() {
        String once = heldOut(train());
        assertEquals(once, heldOut(train("--set", "ns_schedule=four-steps", "--set", "ns_norm=gram")));
        assertFalse(once.equals(heldOut(train("--set", "ns_schedule=keller/5"))));
        assertFalse(once.equals(heldOut(train("--set", "ns_schedule=minimax/4/0.002", "--set", "ns_norm=gram"))));
        assertMistake(train("--set", "ns_schedule=kellar"), "ns_schedule is \"kellar\": there is no schedule 'kellar'");
        assertMistake(train("--set", "ns_norm=spectral"), "ns_norm is \"spectral\"; it must be one of");
    }

    @Test
    void badTextsAreRefused() throws IOException {
        Path text = folder.resolve("bad.txt");
        assertMistake(train("--data", text.toString()), "there is no file '" + text + "' to train on");
        assertMistake(train("--data", folder.toString()), "'" + folder + "' is a folder");
        Files.writeString(text, "");
        assertMistake(train("--data", text.toString()), "'" + text + "' is empty");
        Files.write(text, new byte[] {'a', 0});
        assertMistake(train("--data", text.toString()), "'" + text + "' is not text (byte 1 is NUL)");
        Files.writeString(text, "far too short");
        assertMistake(train("--data", text.toString()), "'bad.txt' is too short");
    }

    @Test
    void badPresetsAreRefused() {
        assertMistake(CommandLineRun.of("train", "--preset", "huge"), "there is no preset 'huge'");
        assertMistake(
                train("--set", "laeyrs=2"), "preset 'micro' has the unknown key 'laeyrs'; did you mean 'layers'?");
        assertMistake(train("--set", "offload_optimizer=host"), "offload_optimizer is \"host\", which is for a GPU");
        assertMistake(train("--set", "offload_optimizer=disk"), "offload_optimizer is \"disk\"");
        assertMistake(train("--steps", "0"), "steps is 0; it must be from 1");
        assertMistake(train("--steps", "many"), "Invalid value for option '--steps'");
        assertMistake(train("--set", "matrix_lr=-1"), "matrix_lr is -1");
        assertMistake(train("--set", "context"), "context");
    }

    @Test
    void badDevicesAreRefused() {
        assertMistake(
                train("--device", "gpu"), "'gpu' is no device; say cpu, cuda, or cuda:N for the GPU of that number");
        assertMistake(train("--device", "cuda:x"), "'cuda:x' is no device");
    }

    @Test
    void theCpuComputesInFp32() {
        assertTrue(train().out().contains("int8 optimizer state, fp32, cpu ("));
        assertMistake(train("--set", "precision=bf16"), "precision is bf16, and cpu (");
        assertMistake(train("--set", "gradients=bf16"), "gradients is bf16 and precision f32");
    }

    @Test
    void withoutATerminalAFewLinesSayHowFarItIs() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
                Progress progress = new Progress.Lines("run", 95, 100, new Ledger(), out)) {
            for (int step = 1; step <= 95; step++) {
                progress.stepped(new TrainStep(step, 2.5, 1, false, 10, 1));
            }
        }
        List<String> lines = bytes.toString(StandardCharsets.UTF_8).lines().toList();
        assertEquals(11, lines.size(), lines.toString());
        assertTrue(lines.getFirst().startsWith("run: step 9 of 95, loss 2.5000, 10000 tokens/s, 0 MiB, "));
        assertTrue(lines.getLast().endsWith(" 0 s left"), lines.getLast());
    }

    private CommandLineRun train(String... options) {
        List<String> words =
                new ArrayList<>(List.of("train", "--preset", micro.preset().toString()));
        if (!List.of(options).contains("--data")) {
            words.addAll(List.of("--data", micro.text().toString()));
        }
        words.addAll(List.of(options));
        return CommandLineRun.of(words.toArray(String[]::new));
    }

    private static String heldOut(CommandLineRun run) {
        return run.out()
                .lines()
                .filter(line -> line.startsWith("held-out loss"))
                .map(line -> line.substring(0, line.indexOf(',')))
                .findFirst()
                .orElseThrow(() -> new AssertionError(run.out() + run.err()));
    }

    private static void assertMistake(CommandLineRun run, String part) {
        assertEquals(ExitCode.USAGE, run.exitCode(), run.out() + run.err());
        assertTrue(run.err().startsWith("muonium: "), run.err());
        assertTrue(run.err().contains(part), run.err());
        assertFalse(run.err().contains("\tat "), run.err());
        assertEquals("", run.out());
    }
}
