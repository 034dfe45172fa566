package dev.muonium.cli.report;

import java.nio.file.Path;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.module.SimpleModule;
import tools.jackson.databind.ser.std.ToStringSerializer;

/** Records as JSON with keys in snake_case. */
public final class Json {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(SerializationFeature.INDENT_OUTPUT)
            // A path, not a URL of one.
            .addModule(new SimpleModule().addSerializer(Path.class, new ToStringSerializer(Path.class)))
            .build();

    private Json() {}

    /**
     * Writes a record to a file.
     *
     * @throws tools.jackson.core.JacksonException if it cannot be written
     */
    public static void write(Object value, Path file) {
        MAPPER.writeValue(file.toFile(), value);
    }

    /** A record as text. */
    public static String toText(Object value) {
        return MAPPER.writeValueAsString(value);
    }

    /**
     * Reads a record from a file.
     *
     * @throws tools.jackson.core.JacksonException if it cannot be read or is not such a record
     */
    public static <T> T read(Path file, Class<T> type) {
        return MAPPER.readValue(file.toFile(), type);
    }
}
