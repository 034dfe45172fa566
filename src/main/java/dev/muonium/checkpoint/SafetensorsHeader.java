package dev.muonium.checkpoint;

import dev.muonium.checkpoint.JsonParser.JsonSyntaxException;
import dev.muonium.checkpoint.JsonValue.JsonArray;
import dev.muonium.checkpoint.JsonValue.JsonNumber;
import dev.muonium.checkpoint.JsonValue.JsonObject;
import dev.muonium.checkpoint.JsonValue.JsonString;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The header of a safetensors file: what its JSON says, checked against itself and against the size of the data.
 *
 * @param metadata the strings under {@code __metadata__}
 * @param entries the tensors in the order of their data, which they cover from its first byte to its last
 */
record SafetensorsHeader(Map<String, String> metadata, List<Entry> entries) {
    /** Bytes [begin, end) from the start of the data are a tensor. */
    record Entry(String name, StoredType type, List<Long> shape, long begin, long end) {}

    /** What is wrong; the reader says in which file. */
    static final class HeaderException extends Exception {
        private static final long serialVersionUID = 1L;

        HeaderException(String message) {
            super(message);
        }
    }

    static final String METADATA = "__metadata__";

    /** The most bytes that the JSON may have: what the format's own reader allows. */
    static final long MAX_BYTES = 100_000_000;

    /**
     * @param json the header as it stands in the file
     * @param dataBytes the size of the data behind it
     */
    static SafetensorsHeader parse(ByteBuffer json, long dataBytes) throws HeaderException {
        if (!json.hasRemaining() || json.get(json.position()) != '{') {
            throw new HeaderException("has a header that does not begin with '{'");
        }
        if (!(parseJson(json) instanceof JsonObject object)) {
            throw new HeaderException("has a header that is not a JSON object");
        }
        Map<String, String> metadata = Map.of();
        List<Entry> entries = new ArrayList<>();
        for (Map.Entry<String, JsonValue> member : object.members().entrySet()) {
            if (member.getKey().equals(METADATA)) {
                metadata = metadata(member.getValue());
            } else {
                entries.add(entry(member.getKey(), member.getValue()));
            }
        }
        entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        requireGapless(entries, dataBytes);
        return new SafetensorsHeader(metadata, List.copyOf(entries));
    }

    /** Bytes of a tensor; -1 if a 64-bit count cannot hold them or an extent is negative. */
    static long byteSize(List<Long> shape, StoredType type) {
        if (shape.stream().anyMatch(extent -> extent < 0)) {
            return -1;
        }
        if (shape.contains(0L)) {
            return 0;
        }
        long bytes = type.byteSize();
        try {
            for (long extent : shape) {
                bytes = Math.multiplyExact(bytes, extent);
            }
        } catch (ArithmeticException e) {
            return -1;
        }
        return bytes;
    }

    private static JsonValue parseJson(ByteBuffer json) throws HeaderException {
        try {
            // A new decoder reports malformed input instead of replacing it.
            return JsonParser.parse(
                    StandardCharsets.UTF_8.newDecoder().decode(json).toString());
        } catch (CharacterCodingException e) {
            throw new HeaderException("has a header that is not UTF-8");
        } catch (JsonSyntaxException e) {
            throw new HeaderException("has a header that is not valid JSON: " + e.getMessage());
        }
    }

    private static Map<String, String> metadata(JsonValue value) throws HeaderException {
        if (!(value instanceof JsonObject object)) {
            throw new HeaderException("has a " + METADATA + " that is not a JSON object");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        for (Map.Entry<String, JsonValue> member : object.members().entrySet()) {
            if (!(member.getValue() instanceof JsonString string)) {
                throw new HeaderException("has the value of '" + member.getKey() + "' in " + METADATA
                        + " not as a string, the only kind allowed");
            }
            metadata.put(member.getKey(), string.value());
        }
        return Collections.unmodifiableMap(metadata);
    }

    private static Entry entry(String name, JsonValue value) throws HeaderException {
        String tensor = "tensor '" + name + "'";
        if (!(value instanceof JsonObject object)) {
            throw new HeaderException("describes " + tensor + " by something that is not a JSON object");
        }
        for (String key : object.members().keySet()) {
            if (!List.of("dtype", "shape", "data_offsets").contains(key)) {
                throw new HeaderException("has the unknown key '" + key + "' in the description of " + tensor);
            }
        }
        if (!(object.members().get("dtype") instanceof JsonString dtype)) {
            throw new HeaderException("has " + tensor + " without a 'dtype' that is a string");
        }
        StoredType type = StoredType.named(dtype.value());
        if (type == null) {
            throw new HeaderException("has " + tensor + " with the unknown dtype '" + dtype.value() + "'; known are "
                    + Arrays.stream(StoredType.values()).map(StoredType::name).collect(Collectors.joining(", ")));
        }
        List<Long> shape = counts(object.members().get("shape"), tensor, "shape");
        List<Long> offsets = counts(object.members().get("data_offsets"), tensor, "data_offsets");
        if (offsets.size() != 2) {
            throw new HeaderException(
                    "has " + tensor + " with " + offsets.size() + " data_offsets; it must be two, begin and end");
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (end < begin) {
            throw new HeaderException("has " + tensor + " ending at " + end + ", before its beginning at " + begin);
        }
        long bytes = byteSize(shape, type);
        if (bytes != end - begin) {
            throw new HeaderException("has " + tensor + " with " + (end - begin) + " bytes of data; shape " + shape
                    + " of " + type + " needs " + (bytes < 0 ? "more than a 64-bit count can hold" : bytes));
        }
        return new Entry(name, type, shape, begin, end);
    }

    private static List<Long> counts(@Nullable JsonValue value, String tensor, String key) throws HeaderException {
        if (!(value instanceof JsonArray array)) {
            throw new HeaderException("has " + tensor + " without a '" + key + "' that is an array");
        }
        List<Long> counts = new ArrayList<>();
        for (JsonValue item : array.items()) {
            // 18 digits always fit a long, and no file is larger.
            if (!(item instanceof JsonNumber number) || !number.literal().matches("[0-9]{1,18}")) {
                throw new HeaderException("has " + tensor + " with '" + key + "' holding "
                        + (item instanceof JsonNumber number ? number.literal() : "something that is not a number")
                        + "; whole numbers from 0 are allowed");
            }
            counts.add(Long.parseLong(number.literal()));
        }
        return List.copyOf(counts);
    }

    private static void requireGapless(List<Entry> entries, long dataBytes) throws HeaderException {
        long covered = 0;
        String before = "the start of the data";
        for (Entry entry : entries) {
            String tensor = "tensor '" + entry.name() + "'";
            if (entry.begin() < covered) {
                throw new HeaderException("has " + tensor + " overlapping " + before + ": it begins at byte "
                        + entry.begin() + " of the data, " + (covered - entry.begin()) + " bytes too early");
            }
            if (entry.begin() > covered) {
                throw new HeaderException(
                        "has a gap of " + (entry.begin() - covered) + " bytes between " + before + " and " + tensor);
            }
            if (entry.end() > dataBytes) {
                throw new HeaderException("is truncated: " + tensor + " ends at byte " + entry.end()
                        + " of the data, but the file has only " + dataBytes + " bytes of data");
            }
            covered = entry.end();
            before = tensor;
        }
        if (covered < dataBytes) {
            throw new HeaderException(
                    "has " + (dataBytes - covered) + " bytes behind the last tensor that belong to none");
        }
    }
}
