package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.SafetensorsWriter;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.checkpoint.StoredType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ConformCommandTest {
    @TempDir
    private Path folder;

    private Path golden;

    @BeforeEach
    void findTheGoldenFiles() throws URISyntaxException {
        golden = Path.of(
                Objects.requireNonNull(getClass().getResource("/golden")).toURI());
    }

    @Test
    void everyGoldenFileIsWithinTolerance() {
        CommandLineRun run = CommandLineRun.of("conform", golden.toString());

        assertEquals(ExitCode.OK, run.exitCode(), run.out() + run.err());
        assertTrue(run.out().contains("checks of 18 files: all within tolerance"), run.out());
        for (String part : List.of(
                "muon_37x53_nesterov", "fp32 gram/2", "int8 state", "adamw_4096", "rank_half", "codes that differ")) {
            assertTrue(run.out().contains(part), part + " is missing in\n" + run.out());
        }
    }

    @Test
    void aWrongTrajectoryFailsTheCheck() {
        Path file = change("muon_37x53_plain", Map.of(), tensor -> {
            if (!tensor.name().equals("weight_10_f64")) {
                return tensor;
            }
            double[] weights = tensor.toDoubles();
            weights[0] += 0.01;
            return new StoredTensor(tensor.name(), tensor.type(), tensor.shape(), MemorySegment.ofArray(weights));
        });

        CommandLineRun run = CommandLineRun.of("conform", file.toString());

        assertEquals(ExitCode.CHECK_FAILED, run.exitCode(), run.out());
        assertTrue(run.out().contains("FAILED"), run.out());
        assertTrue(run.out().contains("BEYOND TOLERANCE"), run.out());
        assertEquals("", run.err());
    }

    @Test
    void oneWrongCodeFailsTheCheck() {
        Path file = change("int8_linear", Map.of(), tensor -> {
            if (!tensor.name().equals("block128.codes")) {
                return tensor;
            }
            byte[] codes = tensor.toBytes();
            codes[5000]++;
            return new StoredTensor(tensor.name(), tensor.type(), tensor.shape(), MemorySegment.ofArray(codes));
        });

        CommandLineRun run = CommandLineRun.of("conform", file.toString());

        assertEquals(ExitCode.CHECK_FAILED, run.exitCode());
        assertTrue(run.out()
                .lines()
                .anyMatch(line -> line.matches(".*block 128 +codes that differ +1.00e\\+00 +0 +FAILED")));
    }

    @Test
    void aTruncatedFileIsRefused() throws IOException {
        Path file = folder.resolve("short.safetensors");
        byte[] whole = Files.readAllBytes(golden.resolve("adamw_1000.safetensors"));
        Files.write(file, Arrays.copyOf(whole, whole.length - 1));

        CommandLineRun run = CommandLineRun.of("conform", file.toString());

        assertMistake(
                run, "muonium: '" + file + "' is truncated: tensor 'exp_avg_sq_20' ends at byte 96000 of the data");
    }

    @Test
    void aFileThatIsNoRecordingIsRefused() {
        Path file = folder.resolve("model.safetensors");
        SafetensorsWriter.write(
                file,
                Map.of(),
                List.of(new StoredTensor("w", StoredType.F32, List.of(1L), MemorySegment.ofArray(new float[1]))));

        CommandLineRun run = CommandLineRun.of("conform", file.toString());

        assertMistake(run, "muonium: '" + file + "' is no recording that can be replayed");
        assertTrue(run.err().contains("this one has [w]"), run.err());
    }

    @Test
    void aRecordingWithoutASettingIsRefused() {
        Path file = change("muon_37x53_plain", Map.of("lr", ""), tensor -> tensor);
        assertMistake(
                CommandLineRun.of("conform", file.toString()),
                "muonium: '" + file + "' has 'lr' = '' in its __metadata__; a number is expected");

        file = change("muon_37x53_plain", Map.of("rows", "36"), tensor -> tensor);
        assertMistake(
                CommandLineRun.of("conform", file.toString()),
                "muonium: '" + file + "' has tensor 'weight_0' of shape [37, 53]; [36, 53] is expected");

        file = change("muon_37x53_plain", Map.of("ns_coefficients", "1,2"), tensor -> tensor);
        assertMistake(
                CommandLineRun.of("conform", file.toString()),
                "muonium: '" + file
                        + "' has 'ns_coefficients' = '1,2' in its __metadata__; three numbers are expected");

        file = change("muon_37x53_plain", Map.of("adjust", "wild"), tensor -> tensor);
        assertMistake(
                CommandLineRun.of("conform", file.toString()),
                "muonium: '" + file + "' has 'adjust' = 'wild' in its __metadata__; original, match_rms_adamw,");

        file = change("adamw_1000", Map.of("beta2", "1.5"), tensor -> tensor);
        assertMistake(
                CommandLineRun.of("conform", file.toString()),
                "muonium: '" + file + "' has settings that AdamW refuses: ");
    }

    @Test
    void missingFilesAndEmptyFoldersAreRefused() {
        Path missing = folder.resolve("missing.safetensors");
        assertMistake(
                CommandLineRun.of("conform", missing.toString()),
                "muonium: '" + missing + "' cannot be read: there is no such file.");
        assertMistake(
                CommandLineRun.of("conform", folder.toString()),
                "muonium: the folder '" + folder + "' has no *.safetensors file.");
        assertMistake(CommandLineRun.of("conform"), "muonium: Missing required parameter: 'FILE'");
    }

    @Test
    void aDeviceThatIsNotThereIsNamed() {
        CommandLineRun run = CommandLineRun.of("conform", "--device", "cuda", golden.toString());

        assumeFalse(run.exitCode() == ExitCode.OK, "skipped: there is a CUDA device, and it conforms");
        assertEquals(ExitCode.UNAVAILABLE, run.exitCode());
        assertTrue(run.err().startsWith("muonium: the CUDA device is not available"), run.err());
    }

    @Test
    void aNumberOfThreadsOutOfRangeIsRefused() {
        CommandLineRun run = CommandLineRun.of("conform", "--threads", "0", golden.toString());

        assertEquals(ExitCode.USAGE, run.exitCode());
        assertFalse(run.err().contains("\tat "), run.err());
        assertTrue(run.err().contains("1024"), run.err());
    }

    private interface Change {
        StoredTensor of(StoredTensor tensor);
    }

    /** A copy of a golden file with other settings and tensors. */
    private Path change(String name, Map<String, String> settings, Change change) {
        Path file = folder.resolve(name + ".safetensors");
        try (Safetensors original = Safetensors.open(golden.resolve(name + ".safetensors"))) {
            Map<String, String> metadata = new HashMap<>(original.metadata());
            metadata.putAll(settings);
            List<StoredTensor> tensors = new ArrayList<>();
            for (String tensor : original.names()) {
                tensors.add(change.of(original.tensor(tensor)));
            }
            SafetensorsWriter.write(file, metadata, tensors);
        }
        return file;
    }

    private static void assertMistake(CommandLineRun run, String sentence) {
        assertEquals(ExitCode.USAGE, run.exitCode(), run.out() + run.err());
        assertTrue(run.err().startsWith(sentence), run.err());
        assertFalse(run.err().contains("\tat "), run.err());
    }
}
