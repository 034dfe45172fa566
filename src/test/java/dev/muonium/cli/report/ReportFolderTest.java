package dev.muonium.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.ChildJava;
import dev.muonium.cli.UserMistake;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

final class ReportFolderTest {
    @TempDir
    private Path folder;

    @Test
    void writesAllFilesAndNothingElse() throws IOException {
        Path out = folder.resolve("a").resolve("b");

        Optional<String> problem = ReportFolder.prepare(out).write(SampleReport.of(50), "muonium compare --steps 50");

        assertEquals(Optional.empty(), problem);
        try (Stream<Path> files = Files.list(out)) {
            assertEquals(
                    Set.of("report.json", "report.md", "loss.svg", "loss.png", "memory.png"),
                    new HashSet<>(
                            files.map(file -> file.getFileName().toString()).toList()));
        }
        String text = Files.readString(out.resolve("report.md"));
        assertTrue(text.contains("muonium compare --steps 50"), text);
        assertTrue(text.contains("| Optimizer state | 10.50 MiB | 2.71 MiB | -74.22 % |"), text);
        assertTrue(text.contains("(loss.png)"), text);
    }

    /** The fonts of a process are found once, so that a machine without any needs a process of its own. */
    @Test
    void withoutFontsTheReportIsWrittenWithoutPictures() throws IOException, InterruptedException {
        Path noFonts = Files.writeString(
                folder.resolve("fonts.conf"),
                "<?xml version=\"1.0\"?><fontconfig><dir>" + folder.resolve("none") + "</dir></fontconfig>");
        Path out = folder.resolve("out");
        ProcessBuilder builder = new ProcessBuilder(ChildJava.command(
                ReportWriter.class,
                List.of(
                        "-Djava.awt.headless=true",
                        "-Duser.home=" + folder.resolve("home")), // where the JVM remembers fonts
                out.toString()));
        builder.environment().put("FONTCONFIG_FILE", noFonts.toString());
        Process process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertEquals(0, process.waitFor(), said);
        assertTrue(said.startsWith("the pictures are missing, because this machine cannot draw text ("), said);
        assertTrue(said.contains("apt-get install fontconfig"), said);
        assertTrue(Files.exists(out.resolve("report.json")));
        String text = Files.readString(out.resolve("report.md"));
        assertFalse(text.contains(".png"), text);
    }

    @Test
    void theJsonHasTheKeysThatReadersRelyOn() {
        Report report = SampleReport.of(3);
        Path file = folder.resolve("report.json");

        Json.write(report, file);

        JsonNode json = JsonMapper.shared().readTree(file.toFile());
        for (String key : List.of("preset", "parameters", "steps", "seed", "machine", "runs", "reduction")) {
            assertTrue(json.has(key), key);
        }
        for (String key : List.of("cpu", "tier", "threads")) {
            assertTrue(json.get("machine").has(key), key);
        }
        for (String key : List.of(
                "name",
                "optimizer_state_bytes",
                "optimizer_workspace_bytes",
                "optimizer_state_bytes_by_optimizer",
                "weights_bytes",
                "gradients_bytes",
                "activations_bytes",
                "peak_ledger_bytes",
                "peak_rss_bytes",
                "tokens_per_second",
                "step_ms_median",
                "optimizer_ms_median",
                "train_loss",
                "val_loss",
                "non_finite_steps")) {
            assertTrue(json.get("runs").get(1).has(key), key);
        }
        assertEquals(
                1 - 2_838_528.0 / 11_010_048,
                json.get("reduction").get("optimizer_state").asDouble());
        assertEquals(report, Json.read(file, Report.class));
    }

    @Test
    void refusesAFolderThatIsAFile() throws IOException {
        Path file = Files.writeString(folder.resolve("taken"), "");

        String message = assertThrows(UserMistake.class, () -> ReportFolder.prepare(file))
                .getMessage();

        assertEquals("the report folder '" + file + "' is a file; name another with --out", message);
    }

    @Test
    void refusesAFolderBelowAFile() throws IOException {
        Path below = Files.writeString(folder.resolve("taken"), "").resolve("below");

        String message = assertThrows(UserMistake.class, () -> ReportFolder.prepare(below))
                .getMessage();

        assertTrue(message.startsWith("the report folder '" + below + "' cannot be written to ("), message);
    }

    @Test
    void quartilesLieBetweenTheRanks() {
        assertEquals(new Speed(4, 2.5, 1.75, 3.25), Speed.of(new double[] {4, 1, 3, 2}));
        assertEquals(new Speed(1, 7, 7, 7), Speed.of(new double[] {7}));
    }
}
