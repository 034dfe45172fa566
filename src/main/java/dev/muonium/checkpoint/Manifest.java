package dev.muonium.checkpoint;

import dev.muonium.checkpoint.JsonValue.JsonNumber;
import dev.muonium.checkpoint.JsonValue.JsonObject;
import dev.muonium.checkpoint.JsonValue.JsonString;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * What makes a checkpoint complete: {@code manifest.json}, written last. It lists the files with their sizes and SHA-256, and its own
 * SHA-256 stands before it, so that no byte of a checkpoint changes unnoticed:
 *
 * <pre>{@code {"sha256":"9f…","manifest":{"version":1,"step":250,"values":{…},"files":{"model.safetensors":{"bytes":…,"sha256":"…"}}}}}</pre>
 *
 * <p>SHA-256, because {@code sha256sum} checks it and the JDK computes it with the processor's instructions.
 *
 * @param step optimizer steps that were taken
 * @param values configuration and whatever else the saver wrote down
 * @param files by name
 */
record Manifest(long step, Map<String, String> values, Map<String, FileEntry> files) {
    static final String NAME = "manifest.json";

    /** Of the layout of a checkpoint. */
    static final int VERSION = 1;

    private static final String HEAD = "{\"sha256\":\"";
    private static final String MIDDLE = "\",\"manifest\":";
    private static final String TAIL = "}\n";
    private static final int DIGEST_CHARACTERS = 64;

    /** A file's size and checksum. */
    record FileEntry(long bytes, String sha256) {}

    /** What is wrong with a manifest; the caller says where. */
    static final class ManifestException extends Exception {
        private static final long serialVersionUID = 1L;

        ManifestException(String message) {
            super(message);
        }
    }

    Manifest {
        values = new TreeMap<>(values);
        files = new TreeMap<>(files);
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private static String digest(String text) {
        return HexFormat.of().formatHex(sha256().digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    String toJson() {
        StringBuilder json = new StringBuilder();
        json.append("{\"version\":").append(VERSION).append(",\"step\":").append(step);
        json.append(",\"values\":{");
        String comma = "";
        for (Map.Entry<String, String> entry : values.entrySet()) {
            SafetensorsWriter.quote(json.append(comma), entry.getKey()).append(':');
            SafetensorsWriter.quote(json, entry.getValue());
            comma = ",";
        }
        json.append("},\"files\":{");
        comma = "";
        for (Map.Entry<String, FileEntry> entry : files.entrySet()) {
            SafetensorsWriter.quote(json.append(comma), entry.getKey())
                    .append(":{\"bytes\":")
                    .append(entry.getValue().bytes())
                    .append(",\"sha256\":\"")
                    .append(entry.getValue().sha256())
                    .append("\"}");
            comma = ",";
        }
        String body = json.append("}}").toString();
        return HEAD + digest(body) + MIDDLE + body + TAIL;
    }

    static Manifest parse(String text) throws ManifestException {
        int begin = HEAD.length() + DIGEST_CHARACTERS + MIDDLE.length();
        boolean framed = text.startsWith(HEAD)
                && text.startsWith(MIDDLE, HEAD.length() + DIGEST_CHARACTERS)
                && text.endsWith(TAIL)
                && text.length() > begin + TAIL.length();
        if (!framed) {
            throw new ManifestException("is not a manifest of a checkpoint, or was cut off");
        }
        String body = text.substring(begin, text.length() - TAIL.length());
        String expected = text.substring(HEAD.length(), HEAD.length() + DIGEST_CHARACTERS);
        if (!digest(body).equals(expected)) {
            throw new ManifestException("does not have the checksum that it says; it was changed");
        }
        try {
            JsonObject root = (JsonObject) JsonParser.parse(body);
            long version = number(root, "version");
            if (version != VERSION) {
                throw new ManifestException("has the version " + version + "; this library reads version " + VERSION);
            }
            Map<String, String> values = new LinkedHashMap<>();
            for (Map.Entry<String, JsonValue> entry :
                    object(root, "values").members().entrySet()) {
                values.put(entry.getKey(), ((JsonString) entry.getValue()).value());
            }
            Map<String, FileEntry> files = new LinkedHashMap<>();
            for (Map.Entry<String, JsonValue> entry :
                    object(root, "files").members().entrySet()) {
                JsonObject file = (JsonObject) entry.getValue();
                if (!entry.getKey().matches("[A-Za-z0-9_-]{1,64}\\.safetensors")) {
                    throw new ManifestException("lists a file '" + entry.getKey() + "', which is no part's name");
                }
                if (!(file.members().get("sha256") instanceof JsonString sha256)) {
                    throw new ManifestException("lacks the checksum of '" + entry.getKey() + "'");
                }
                files.put(entry.getKey(), new FileEntry(number(file, "bytes"), sha256.value()));
            }
            return new Manifest(number(root, "step"), values, files);
        } catch (JsonParser.JsonSyntaxException | ClassCastException e) {
            throw new ManifestException("is not as this library writes it: " + e.getMessage());
        }
    }

    private static JsonObject object(JsonObject of, String member) throws ManifestException {
        if (of.members().get(member) instanceof JsonObject object) {
            return object;
        }
        throw new ManifestException("lacks '" + member + "'");
    }

    private static long number(JsonObject of, String member) throws ManifestException {
        if (of.members().get(member) instanceof JsonNumber number) {
            try {
                long value = Long.parseLong(number.literal());
                if (value >= 0) {
                    return value;
                }
            } catch (NumberFormatException e) {
                throw new ManifestException("has the number " + number.literal() + " as '" + member + "'");
            }
        }
        throw new ManifestException("lacks a count '" + member + "'");
    }
}
