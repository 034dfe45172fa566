package dev.muonium.cli.input;

import dev.muonium.cli.UserMistake;
import dev.muonium.nano.Preset;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.type.TypeReference;
import tools.jackson.dataformat.toml.TomlMapper;

/** Presets in TOML: those that the jar carries, and files. */
public final class PresetFile {
    /** The names of the built-in presets, the smallest first. */
    public static final List<String> BUILT_IN = List.of("tiny", "test-8bit", "d20-e3-full", "medium-3b");

    private static final TypeReference<TreeMap<String, Object>> KEYS = new TypeReference<>() {};

    private PresetFile() {}

    /**
     * Reads a preset.
     *
     * @param nameOrFile one of {@link #BUILT_IN}, or a file (which has a dot or a slash in its name)
     * @param changes values that go before those of the preset, as TOML writes them; text needs no quotes
     * @throws UserMistake if there is none of that name, or it is not valid
     */
    public static Preset read(String nameOrFile, Map<String, String> changes) {
        String name = nameOrFile;
        String toml;
        if (BUILT_IN.contains(nameOrFile)) {
            toml = builtIn(nameOrFile);
        } else if (nameOrFile.contains("/") || nameOrFile.contains(".")) {
            Path file = Path.of(nameOrFile);
            toml = text(file);
            name = file.getFileName().toString().replaceFirst("\\.toml$", "");
        } else {
            throw new UserMistake("there is no preset '" + nameOrFile + "'; there are " + String.join(", ", BUILT_IN)
                    + ", and any TOML file, for example ./" + nameOrFile + ".toml");
        }
        Map<String, Object> keys = parse("the preset '" + nameOrFile + "'", toml);
        changes.forEach((key, value) -> keys.put(key, value(key, value)));
        try {
            return Preset.of(name, keys);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }

    private static String builtIn(String name) {
        try (InputStream in = PresetFile.class.getResourceAsStream("/dev/muonium/cli/presets/" + name + ".toml")) {
            if (in == null) {
                throw new IllegalStateException("the built-in preset '" + name + "' is missing from the jar");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            throw new UserMistake("there is no preset file '" + file + "'", e);
        } catch (CharacterCodingException e) {
            throw new UserMistake("the preset file '" + file + "' is not UTF-8 text", e);
        } catch (IOException e) {
            throw new UserMistake("the preset file '" + file + "' cannot be read: " + e.getMessage(), e);
        }
    }

    private static Map<String, Object> parse(String named, String toml) {
        try {
            return TomlMapper.shared().readValue(toml, KEYS);
        } catch (JacksonException e) {
            TokenStreamLocation at = e.getLocation();
            throw new UserMistake(
                    named + " is not valid TOML"
                            + (at == null || at.getLineNr() < 1
                                    ? ""
                                    : " in line " + at.getLineNr() + ", column " + at.getColumnNr())
                            + ": " + e.getOriginalMessage(),
                    e);
        }
    }

    /** {@code --set key=value}: as TOML where it is valid TOML, else as text, because a shell eats quotes. */
    private static Object value(String key, String value) {
        try {
            return parse(key, "value = " + value).getOrDefault("value", value);
        } catch (UserMistake notToml) {
            return value;
        }
    }
}
