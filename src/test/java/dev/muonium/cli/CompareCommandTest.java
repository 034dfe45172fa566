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
    void anyTwoConfigurationsAreCompared() throws IOException {
        CommandLineRun run = compare(
                "--baseline",
                "use_8bit_optim=true",
                "--candidate",
                "activation_checkpointing=block,batch=1",
                "--candidate",
                "grad_accum_steps=2");

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        JsonNode runs = JsonMapper.shared()
                .readTree(out.resolve("report.json").toFile())
                .get("runs");
        assertEquals("use_8bit_optim=true", runs.get(0).get("name").asString());
        assertEquals(
                "activation_checkpointing=block,batch=1,grad_accum_steps=2",
                runs.get(1).get("name").asString());
        assertTrue(runs.get(1).get("activations_bytes").asLong()
                < runs.get(0).get("activations_bytes").asLong());
        assertTrue(Files.readString(out.resolve("report.md")).contains("they differ as they are named"));
    }

    @Test
    void configurationsThatCannotBeComparedAreRefused() {
        assertMistake(compare("--baseline", "use_8bit_optim"), "--baseline has 'use_8bit_optim'; it takes KEY=VALUE");
        assertMistake(compare("--candidate", "layres=3"), "unknown key 'layres'; did you mean 'layers'?");
        assertMistake(compare("--candidate", "context=8"), "the configurations read the text differently");
        assertMistake(compare("--candidate", "preset=huge"), "there is no preset 'huge'");
        assertMistake(compare("--techniques", "--baseline", "batch=1"), "--techniques has configurations of its own");
        assertMistake(compare("--candidate", "use_galore=true,galore_rank=999"), "galore_rank is 999");
    }

    @Test
    void theTechniquesStandInOneTable() throws IOException {
        CommandLineRun run = compare("--techniques", "--steps", "2", "--pairs", "1", "--set", "matrix_lr=0.01");

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        assertTrue(run.out().contains("all together "), run.out());
        assertEquals(Set.of("techniques.json", "techniques.md", "techniques.png", "techniques.svg"), filesIn(out));
        JsonNode rows = JsonMapper.shared()
                .readTree(out.resolve("techniques.json").toFile())
                .get("rows");
        assertEquals(13, rows.size());
        JsonNode none = rows.get(0).get("result");
        JsonNode offloaded = rows.get(5).get("result");
        assertEquals(none.get("train_loss"), offloaded.get("train_loss"), "the same bits");
        assertEquals(
                none.get("optimizer_state_bytes").asLong(),
                none.get("peak_bytes_by_purpose").get("OPTIMIZER_STATE").asLong());
        assertEquals(0, offloaded.get("optimizer_state_bytes").asLong());
        assertTrue(offloaded.get("peak_bytes_by_purpose").get("OFFLOADED_STATE").asLong() > 0);
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
