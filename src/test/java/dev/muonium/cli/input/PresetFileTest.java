package dev.muonium.cli.input;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.UserMistake;
import dev.muonium.nano.GptConfig.Mlp;
import dev.muonium.nano.Offload;
import dev.muonium.nano.Preset;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PresetFileTest {
    private static final String SMALL = "layers = 1\nd_model = 16\nheads = 2\ncontext = 8\nbatch = 2\nsteps = 3\n";

    @TempDir
    private Path folder;

    /** Figures of the issue: millions of parameters. */
    @ParameterizedTest
    @CsvSource({"tiny, 1, 3", "test-8bit, 28.35, 28.36", "d20-e3-full, 282.3, 282.5", "medium-3b, 3025, 3035"})
    void theBuiltInPresetsHaveTheirSizes(String name, double least, double most) {
        Preset preset = PresetFile.read(name, Map.of());

        double millions = preset.model().parameterCount() / 1e6;

        assertEquals(name, preset.name());
        assertTrue(millions >= least && millions <= most, name + " has " + millions + "M parameters");
    }

    @Test
    void everyBuiltInPresetCanBeRead() {
        for (String name : PresetFile.BUILT_IN) {
            assertEquals(name, PresetFile.read(name, Map.of()).name());
        }
        Preset medium = PresetFile.read("medium-3b", Map.of());
        assertEquals(Mlp.GATED, medium.model().mlp());
        assertEquals(80, medium.model().headDim());
        assertEquals(8, medium.model().kvHeads());
        assertTrue(medium.model().weightTied());
    }

    @Test
    void readsAFile() throws IOException {
        Path file = Files.writeString(folder.resolve("mine.toml"), SMALL + "matrix_lr = 0.01\nweight_tied = true\n");

        Preset preset = PresetFile.read(file.toString(), Map.of());

        assertEquals("mine", preset.name());
        assertEquals(0.01, preset.training().matrixLr());
        assertTrue(preset.model().weightTied());
    }

    @Test
    void changesGoBeforeTheFile() throws IOException {
        Path file = Files.writeString(folder.resolve("mine.toml"), SMALL + "use_8bit_optim = true\n");

        Preset preset = PresetFile.read(
                file.toString(),
                Map.of(
                        "steps", "7",
                        "use_8bit_optim", "false",
                        "matrix_lr", "1e-2",
                        "sample_prompt", "Four score and",
                        "mlp", "gated"));

        assertEquals(7, preset.training().steps());
        assertFalse(preset.training().use8bitOptim());
        assertEquals(0.01, preset.training().matrixLr());
        assertEquals("Four score and", preset.training().samplePrompt());
        assertEquals(Mlp.GATED, preset.model().mlp());
    }

    @Test
    void refusesWhatIsNoPreset() throws IOException {
        assertEquals(
                "there is no preset 'tinny'; there are tiny, test-8bit, d20-e3-full, medium-3b, and any TOML file, for"
                        + " example ./tinny.toml",
                mistake("tinny", Map.of()));

        Path missing = folder.resolve("missing.toml");
        assertEquals("there is no preset file '" + missing + "'", mistake(missing.toString(), Map.of()));

        Path broken = Files.writeString(folder.resolve("broken.toml"), "layers = 4\nheads 6\n");
        String sentence = mistake(broken.toString(), Map.of());
        assertTrue(sentence.startsWith("the preset '" + broken + "' is not valid TOML in line 2, column "), sentence);

        Path unknown = Files.writeString(folder.resolve("unknown.toml"), SMALL + "grad_acum_steps = 2\n");
        assertEquals(
                "preset 'unknown' has the unknown key 'grad_acum_steps'; did you mean 'grad_accum_steps'?",
                mistake(unknown.toString(), Map.of()));

        Path binary = Files.write(folder.resolve("binary.toml"), new byte[] {(byte) 0xFF, 0});
        assertEquals("the preset file '" + binary + "' is not UTF-8 text", mistake(binary.toString(), Map.of()));
    }

    @Test
    void readsTechniquesFromTheCommandLine() {
        Preset preset = PresetFile.read("tiny", Map.of("activation_checkpointing", "2", "offload_optimizer", "file"));
        assertEquals(2, preset.training().techniques().checkpointedBlocks());
        assertEquals(Offload.FILE, preset.training().techniques().offloadOptimizer());
        assertTrue(mistake("tiny", Map.of("galore_rank", "400", "use_galore", "true"))
                .contains("galore_rank is 400"));
    }

    private static String mistake(String preset, Map<String, String> changes) {
        return String.valueOf(assertThrows(UserMistake.class, () -> PresetFile.read(preset, changes))
                .getMessage());
    }
}
