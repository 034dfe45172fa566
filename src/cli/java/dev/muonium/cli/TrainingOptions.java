package dev.muonium.cli;

import dev.muonium.cli.input.GptBpe;
import dev.muonium.cli.input.PresetFile;
import dev.muonium.cli.input.TrainingText;
import dev.muonium.nano.ByteTokenizer;
import dev.muonium.nano.Preset;
import dev.muonium.nano.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What to train, on what, and for how long. */
final class TrainingOptions {
    /** Among changes: the name of another preset. */
    private static final String PRESET = "preset";

    @Option(
            names = "--preset",
            paramLabel = "NAME|FILE",
            defaultValue = "tiny",
            description = "Model and training: tiny (default), test-8bit, d20-e3-full, medium-3b, or a TOML file.")
    private String preset = "tiny";

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Change a key of the preset; may be repeated.")
    private Map<String, String> changes = new LinkedHashMap<>();

    @Option(
            names = "--data",
            paramLabel = "FILE",
            description =
                    "UTF-8 text to train on, plain or gzipped (default: the State of the Union addresses, which are"
                            + " built in).")
    private @Nullable Path data;

    @Option(names = "--steps", paramLabel = "N", description = "Optimizer steps (default: the preset's).")
    private @Nullable Integer steps;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Seed of the weights and of the order of the text (default: the preset's).")
    private @Nullable Long seed;

    /**
     * The preset with what the other options change.
     *
     * @throws UserMistake if there is no such preset, or it is not valid
     */
    Preset preset() {
        return preset(Map.of());
    }

    /** The same with more changes, which go before the others. */
    Preset preset(Map<String, String> more) {
        Map<String, String> all = changed(more);
        String named = all.remove(PRESET);
        return PresetFile.read(named == null ? preset : named, all);
    }

    private Map<String, String> changed(Map<String, String> more) {
        Map<String, String> all = new LinkedHashMap<>(changes);
        if (steps != null) {
            all.put("steps", steps.toString());
        }
        if (seed != null) {
            all.put("seed", seed.toString());
        }
        all.putAll(more);
        return all;
    }

    /**
     * The text.
     *
     * @throws UserMistake if it cannot be read, or is no text
     */
    TrainingText text() {
        return data == null ? TrainingText.builtIn() : TrainingText.read(data);
    }

    /** How a preset's text becomes tokens. */
    static Tokenizer tokenizer(Preset preset) {
        return switch (preset.tokenizer()) {
            case Preset.BYTE -> new ByteTokenizer();
            case Preset.GPT2 -> new GptBpe();
            default -> throw new IllegalStateException("no tokenizer is called '" + preset.tokenizer() + "'");
        };
    }

    /** What a preset's tokenizer keeps on the heap. GPT-2's 50,257 tokens, each with its bytes, both ways, were measured. */
    static long tokenizerBytes(Preset preset) {
        return preset.tokenizer().equals(Preset.GPT2) ? 9L << 20 : 0;
    }

    /** How they are passed on to a child process, with more changes. */
    List<String> toArguments(Map<String, String> more) {
        Map<String, String> all = changed(more);
        String named = all.remove(PRESET);
        List<String> arguments = new ArrayList<>(List.of("--preset", named == null ? preset : named));
        all.forEach((key, value) -> arguments.addAll(List.of("--set", key + "=" + value)));
        if (data != null) {
            arguments.addAll(List.of("--data", data.toString()));
        }
        return arguments;
    }
}
