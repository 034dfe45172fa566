package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code train} and {@code compare} on a GPU, or on an emulated one. */
@CudaTest
final class CudaCommandTest {
    @TempDir
    private Path folder;

    private MicroPreset micro;

    @BeforeEach
    void writeThePreset() throws IOException {
        micro = MicroPreset.in(folder);
    }

    @Test
    void trainsInBf16AndTellsTheMemoryOfTheGpu() {
        CommandLineRun run = CommandLineRun.of(words("train", "--device", "cuda"));

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(
                run.out().contains("int8 optimizer state, bf16 with fp32 master weights and fp32 gradients, cuda:0 ("),
                run.out());
        assertTrue(run.out().contains("GPU by cudaMemGetInfo: "), run.out());
        assertTrue(run.out().contains("by the ledger: planned "), run.out());
        assertTrue(run.out().contains("by cudaMemGetInfo: planned "), run.out());
        assertTrue(run.out().contains("\nThe "), run.out());
    }

    @Test
    void thePrecisionCanBeChosen() {
        CommandLineRun run = CommandLineRun.of(words(
                "train",
                "--device",
                "cuda:0",
                "--set",
                "gradients=bf16",
                "--set",
                "master_weights=false",
                "--steps",
                "1"));

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().contains("bf16 without master weights and bf16 gradients"), run.out());
    }

    @Test
    void compares() throws IOException, InterruptedException {
        Path out = folder.resolve("report");
        List<String> command = new ArrayList<>(ChildJvm.command(List.of(
                words("compare", "--device", "cuda", "--pairs", "1", "--steps", "3", "--out", out.toString()))));
        // What the build gave this JVM as settings, the JVMs that compare starts take from its command line.
        for (String key : List.of("muonium.cuda.path", "muonium.cuda.backend")) {
            if (System.getProperty(key) != null) {
                command.add(1, "-D" + key + "=" + System.getProperty(key));
            }
        }
        Path said = folder.resolve("said.txt");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        String text = process.waitFor() + "\n" + Files.readString(said, StandardCharsets.UTF_8);

        assertTrue(text.startsWith("0\n"), text);
        JsonNode report =
                JsonMapper.shared().readTree(out.resolve("report.json").toFile());
        assertTrue(report.get("machine").get("device").asString().startsWith("cuda:0 ("));
        assertEquals(
                "bf16 with fp32 master weights and fp32 gradients",
                report.get("precision").asString());
        for (JsonNode run : report.get("runs")) {
            assertEquals(2 * 81_920, run.get("weights_bytes").asLong());
            assertEquals(4 * 81_920, run.get("master_weights_bytes").asLong());
            assertEquals(4 * 81_920, run.get("gradients_bytes").asLong());
            assertTrue(run.get("peak_device_growth").asLong() >= 0);
            assertTrue(run.get("peak_device_use").asLong()
                    >= run.get("peak_device_growth").asLong());
            assertEquals(3, run.get("train_loss").size());
        }
        String markdown = Files.readString(out.resolve("report.md"));
        assertTrue(markdown.contains("| Master weights | "), markdown);
        assertTrue(markdown.contains("| Peak, GPU (driver's count) | "), markdown);
    }

    @Test
    void aGpuThatIsNotThereIsAMistake() {
        CommandLineRun run = CommandLineRun.of(words("train", "--device", "cuda:99"));

        assertEquals(ExitCode.USAGE, run.exitCode(), run.err());
        assertTrue(run.err().startsWith("muonium: ordinal is 99; this machine has "), run.err());
        assertFalse(run.err().contains("\tat "), run.err());
    }

    @Test
    void headsThatAttentionDoesNotTakeAreAMistake() {
        CommandLineRun run = CommandLineRun.of(words("train", "--device", "cuda", "--set", "head_dim=12"));

        assertEquals(ExitCode.USAGE, run.exitCode(), run.err());
        assertTrue(run.err().contains("head_dim is 12; on a CUDA device it must be a multiple of 8"), run.err());
    }

    private String[] words(String command, String... options) {
        List<String> words = new ArrayList<>(List.of(
                command,
                "--preset",
                micro.preset().toString(),
                "--data",
                micro.text().toString()));
        words.addAll(List.of(options));
        return words.toArray(String[]::new);
    }
}
