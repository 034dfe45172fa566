package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.muonium.cli.ChildJvm.ChildFailed;
import dev.muonium.device.CudaProbe;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

final class CompareCommandTest {
    @TempDir
    private Path folder;

    private MicroPreset micro;
    private Path out;

    @BeforeEach
    void writeThePreset() throws IOException {
        micro = MicroPreset.in(folder);
        out = folder.resolve("report");
    }

    @Test
    void writesTheReport() throws IOException {
        CommandLineRun run = compare("--steps", "5", "--seed", "3", "--threads", "2");

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().contains("Optimizer state "), run.out());
        assertTrue(run.out().contains("report: " + out.resolve("report.md")), run.out());
        assertEquals(Set.of("report.json", "report.md", "loss.svg", "loss.png", "memory.png"), filesIn(out));
        for (String picture : List.of("loss.png", "memory.png")) {
            BufferedImage image = ImageIO.read(out.resolve(picture).toFile());
            assertTrue(image.getWidth() >= 1600 && image.getHeight() >= 900, picture);
        }
        JsonNode report =
                JsonMapper.shared().readTree(out.resolve("report.json").toFile());
        assertEquals("micro", report.get("preset").asString());
        assertEquals(81_920, report.get("parameters").asLong());
        assertEquals(5, report.get("steps").asInt());
        assertEquals(3, report.get("seed").asLong());
        assertEquals(2, report.get("machine").get("threads").asInt());
        assertEquals(2, report.get("runs").size());
        assertRun("fp32", report.get("runs").get(0));
        assertRun("int8", report.get("runs").get(1));
        // Every parameter is a whole number of blocks: 1.03125 bytes for every 4.
        assertEquals(
                1 - 1.03125 / 4, report.get("reduction").get("optimizer_state").asDouble(), 1e-12);
        assertEquals(2, report.get("speed").get("pairs").asInt());
        assertTrue(report.get("order2_byte_model_loss").asDouble() > 0);
    }

    /** Muon's momentum for 49152 elements of matrices, AdamW's two moments for 32768 of embedding and head. */
    private static void assertRun(String name, JsonNode run) {
        assertEquals(name, run.get("name").asString());
        long states = 49152 + 2 * 32768;
        long bytes = name.equals("fp32") ? 4 * states : states + states / 128 * 4;
        assertEquals(bytes, run.get("optimizer_state_bytes").asLong());
        long sum = 0;
        for (JsonNode part : run.get("optimizer_state_bytes_by_optimizer")) {
            sum += part.asLong();
        }
        assertEquals(bytes, sum);
        assertEquals(4 * 81_920, run.get("weights_bytes").asLong());
        assertEquals(4 * 81_920, run.get("gradients_bytes").asLong());
        assertTrue(run.get("activations_bytes").asLong() > 0);
        assertTrue(run.get("optimizer_workspace_bytes").asLong() > 0);
        long ledger = run.get("peak_ledger_bytes").asLong();
        assertTrue(ledger > bytes + 8 * 81_920);
        assertTrue(run.get("peak_rss_bytes").asLong() > ledger);
        assertTrue(run.get("tokens_per_second").asDouble() > 0);
        assertTrue(run.get("step_ms_median").asDouble()
                > run.get("optimizer_ms_median").asDouble());
        assertEquals(5, run.get("train_loss").size());
        assertTrue(run.get("val_loss").asDouble() > 0);
        assertEquals(0, run.get("non_finite_steps").asLong());
    }

    @Test
    void twoEqualRunsDifferInNothing() {
        CommandLineRun run = compare("--state", "fp32", "--threads", "1");

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        JsonNode runs = JsonMapper.shared()
                .readTree(out.resolve("report.json").toFile())
                .get("runs");
        assertEquals("fp32-again", runs.get(1).get("name").asString());
        assertEquals(runs.get(0).get("train_loss"), runs.get(1).get("train_loss"));
        assertEquals(runs.get(0).get("val_loss"), runs.get(1).get("val_loss"));
    }

    @Test
    void aReportThatCannotBeWrittenIsRefusedBeforeAnythingIsTrained() throws IOException {
        Path file = Files.writeString(folder.resolve("taken"), "");

        CommandLineRun run = CommandLineRun.of("compare", "--preset", "tiny", "--out", file.toString());

        assertEquals(ExitCode.USAGE, run.exitCode());
        assertEquals("", run.out());
        assertEquals(
                "muonium: the report folder '" + file + "' is a file; name another with --out.",
                run.err().strip());
    }

    @Test
    void badOptionsAreRefused() {
        assertMistake(compare("--pairs", "0"), "--pairs is 0; it must be at least 1");
        assertMistake(compare("--steps", "-1"), "steps is -1; it must be from 1");
        assertMistake(compare("--data", folder.resolve("missing").toString()), "there is no file");
        assertMistake(compare("--set", "context=4096"), "'text.txt' is too short");
        assertFalse(Files.exists(out.resolve("report.json")));
    }

    @Test
    void aDeviceThatIsNotThereIsNamed() {
        assumeFalse(CudaProbe.probe().available(), "this machine has a CUDA device");

        CommandLineRun run = compare("--device", "cuda");

        assertEquals(ExitCode.UNAVAILABLE, run.exitCode());
        assertTrue(run.err().contains("the CUDA device"), run.err());
    }

    @Test
    void aChildThatFailsIsExplained() {
        ChildFailed failure =
                assertThrows(ChildFailed.class, () -> ChildJvm.run("the int8 run", List.of("no-such-command")));

        assertEquals("the int8 run failed (exit code 2); its own message stands above", failure.getMessage());
        assertEquals(ExitCode.USAGE, failure.exitCode());
    }

    private CommandLineRun compare(String... options) {
        List<String> words = new ArrayList<>(
                List.of("compare", "--preset", micro.preset().toString(), "--pairs", "2", "--out", out.toString()));
        if (List.of(options).contains("--pairs")) {
            words.removeAll(List.of("--pairs", "2"));
        }
        if (!List.of(options).contains("--data")) {
            words.addAll(List.of("--data", micro.text().toString()));
        }
        words.addAll(List.of(options));
        return CommandLineRun.of(words.toArray(String[]::new));
    }

    private static void assertMistake(CommandLineRun run, String part) {
        assertEquals(ExitCode.USAGE, run.exitCode(), run.out() + run.err());
        assertTrue(run.err().contains(part), run.err());
        assertFalse(run.err().contains("\tat "), run.err());
    }

    private static Set<String> filesIn(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
        }
    }
}
