package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The script of the bundle for machines with a GPU: its order, its limits, its table; with a stand-in for Java. */
final class BundleScriptTest {
    private static final String JAVA = """
        #!/usr/bin/env bash
        case "$*" in
        *doctor*) echo "CUDA device  $DEVICE" ;;
        *conform*) echo "some \\"checks\\" with a \\\\"; exit "$CONFORM" ;;
        *OptimizerStep*)
            while [ "$1" != -rff ]; do shift; done
            echo '"Benchmark","Mode","Threads","Samples","Score","Score Error (99.9%)","Unit","Param: set"' >"$2"
            echo '"dev.muonium.jmh.OptimizerStepBenchmark.step","avgt",1,3,4.000000,NaN,"ms/op",gpt2-small' >>"$2"
            echo '"dev.muonium.jmh.OptimizerStepBenchmark.step:state","avgt",1,3,87600000.0,NaN,"bytes",gpt2-small' >>"$2"
            ;;
        esac
        """;

    private static final String AVAILABLE = "available";

    @TempDir
    private Path folder;

    private Path bundle;

    /** What a run said, and wrote. */
    private record Run(int exitCode, String output, JsonNode results) {
        JsonNode part(String name) {
            return find("parts", "name", name);
        }

        JsonNode row(String what) {
            return find("table", "what", what);
        }

        private JsonNode find(String list, String key, String value) {
            for (JsonNode entry : results.get(list)) {
                if (entry.get(key).asString().equals(value)) {
                    return entry;
                }
            }
            throw new AssertionError("no " + value + " in " + results);
        }
    }

    @BeforeEach
    void putTheBundleTogether() throws IOException {
        bundle = folder.resolve("bundle");
        Path java = bundle.resolve("runtime/bin/java");
        Files.createDirectories(java.getParent());
        Files.writeString(java, JAVA);
        Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.writeString(bundle.resolve("commit"), "0123456789abcdef\n");
        try (Stream<Path> scripts = Files.list(Path.of("src/bundle"))) {
            for (Path script : scripts.filter(Files::isRegularFile).toList()) {
                Files.copy(script, bundle.resolve(script.getFileName()));
            }
        }
    }

    private Run run(String device, int conform, String... words) throws Exception {
        Path out = folder.resolve("results");
        List<String> command =
                new ArrayList<>(List.of("bash", bundle.resolve("run.sh").toString(), "--out", out.toString()));
        command.addAll(List.of(words));
        Map<String, String> variables = new HashMap<>();
        variables.put("DEVICE", device);
        variables.put("CONFORM", Integer.toString(conform));
        variables.put("MUONIUM_CUDA_PATH", folder.toString());
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(variables);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        int code = process.waitFor();
        Path json = out.resolve("results.json");
        JsonNode results = Files.exists(json)
                ? JsonMapper.builder().build().readTree(Files.readString(json))
                : JsonMapper.builder().build().readTree("{}");
        return new Run(code, output, results);
    }

    @Test
    void withoutADeviceEveryPartThatNeedsOneIsSkippedWithTheReason() throws Exception {
        Run run = run("not available: there is no driver", 0);

        assertEquals(3, run.exitCode(), run.output());
        assertEquals(11, run.results().get("parts").size());
        for (JsonNode part : run.results().get("parts")) {
            boolean needsNone = part.get("name").asString().equals("doctor");
            assertEquals(needsNone ? "ok" : "skipped", part.get("status").asString(), part.toString());
        }
        assertEquals(
                "not available: there is no driver",
                run.results().get("about").get("device").asString());
    }

    @Test
    void goesOnAfterAPartThatFails() throws Exception {
        Run run = run(AVAILABLE, 5, "--quick", "--only", "conform,step");

        assertEquals(1, run.exitCode(), run.output());
        assertEquals("failed", run.part("conform").get("status").asString());
        assertEquals(
                "exit code 5; some \"checks\" with a \\",
                run.part("conform").get("said").asString());
        assertEquals("ok", run.part("step").get("status").asString());
    }

    @Test
    void theFiguresOfABenchmarkReachTheTable() throws Exception {
        Run run = run(AVAILABLE, 0, "--quick", "--only", "step");

        assertEquals(0, run.exitCode(), run.output());
        assertEquals(
                "4.00 ms", run.row("INT8 Muon step, gpt2-small").get("measured").asString());
        assertEquals(
                "no peer", run.row("INT8 Muon step, gpt2-small").get("verdict").asString());
    }

    @Test
    void skipsWhatNoLongerFitsTheBudget() throws Exception {
        Run run = run(AVAILABLE, 0, "--only", "conform", "--budget", "1");

        assertEquals(0, run.exitCode(), run.output());
        assertEquals("skipped", run.part("conform").get("status").asString());
        assertTrue(run.part("conform").get("said").asString().contains("of the budget"), run.output());
    }

    @Test
    void refusesPartsThatThereAreNot() throws Exception {
        Run run = run(AVAILABLE, 0, "--only", "confrom");

        assertEquals(2, run.exitCode());
        assertTrue(run.output().contains("there is no part 'confrom'"), run.output());
    }

    @Test
    void aFigureShortOfItsTargetSaysSo() throws Exception {
        Path figures = folder.resolve("figures.tsv");
        Files.writeString(figures, """
            step.gpt2-small.INT8.ms\t5\tms
            peer.gpt2-small.eager.float32.ms\t6\tms
            step.24x2048.INT8.ms\t5\tms
            peer.24x2048.eager.float32.ms\t7.5\tms
            bench.copy.gbps\t4000\tGB/s
            bench.momentum.muon.int8.fp32_gradient.bf16_update.fp32_weights.gbps\t3399\tGB/s
            """);
        Files.writeString(folder.resolve("about.tsv"), "");
        Files.writeString(folder.resolve("parts.tsv"), "");
        Path json = folder.resolve("results.json");
        List<String> command = List.of(
                "awk",
                "-v",
                "json=" + json,
                "-f",
                "src/bundle/report.awk",
                folder.resolve("about.tsv").toString(),
                folder.resolve("parts.tsv").toString(),
                figures.toString());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        Run run = new Run(0, output, JsonMapper.builder().build().readTree(Files.readString(json)));

        assertEquals(
                "short", run.row("INT8 Muon step, gpt2-small").get("verdict").asString());
        assertEquals("ok", run.row("INT8 Muon step, 24x2048").get("verdict").asString());
        assertEquals(
                "short",
                run.row("momentum.muon.int8.fp32_gradient.bf16_update.fp32_weights")
                        .get("verdict")
                        .asString());
    }
}
