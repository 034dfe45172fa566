package dev.muonium.checkpoint;

import java.util.List;
import java.util.Map;

/** A JSON value. */
sealed interface JsonValue {
    /** Members in the order of the text. */
    record JsonObject(Map<String, JsonValue> members) implements JsonValue {}

    record JsonArray(List<JsonValue> items) implements JsonValue {}

    record JsonString(String value) implements JsonValue {}

    /** A number as it is written, because a file's 64-bit counts do not fit a double. */
    record JsonNumber(String literal) implements JsonValue {}

    enum JsonWord implements JsonValue {
        TRUE,
        FALSE,
        NULL
    }
}
