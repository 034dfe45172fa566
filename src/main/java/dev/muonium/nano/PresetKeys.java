package dev.muonium.nano;

import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** The keys of a preset as they are read: each is asked for once by name and type; those that nobody asked for are unknown. */
final class PresetKeys {
    private final String preset;
    private final Map<String, ?> values;
    private final Set<String> known = new TreeSet<>();

    PresetKeys(String preset, Map<String, ?> values) {
        this.preset = preset;
        this.values = values;
    }

    int integer(String key, @Nullable Integer otherwise) {
        long value = longInteger(key, otherwise == null ? null : Long.valueOf(otherwise));
        if (value != (int) value) {
            throw refused(key, value, "it must fit 32 bits");
        }
        return (int) value;
    }

    long longInteger(String key, @Nullable Long otherwise) {
        Object value = value(key, otherwise);
        if (value instanceof Long || value instanceof Integer) {
            return ((Number) value).longValue();
        }
        throw refused(key, value, "it must be an integer");
    }

    double real(String key, @Nullable Double otherwise) {
        Object value = value(key, otherwise);
        if (value instanceof Number number) {
            return number.doubleValue();
        }
        throw refused(key, value, "it must be a number");
    }

    boolean flag(String key, boolean otherwise) {
        Object value = value(key, otherwise);
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw refused(key, value, "it must be true or false");
    }

    String text(String key, @Nullable String otherwise) {
        Object value = value(key, otherwise);
        if (value instanceof String text) {
            return text;
        }
        throw refused(key, value, "it must be a text in quotes");
    }

    String choice(String key, @Nullable String otherwise, Set<String> allowed) {
        String value = text(key, otherwise);
        if (!allowed.contains(value)) {
            throw refused(key, value, "it must be one of " + new TreeSet<>(allowed));
        }
        return value;
    }

    /** A positive integer, or one of the words that stand for a number; the word for 0 is the default. */
    int countOrChoice(String key, Map<String, Integer> words) {
        Object value = value(key, "none");
        Integer meant = words.get(value);
        if (meant != null) {
            return meant;
        }
        if (value instanceof Number && longInteger(key, null) == integer(key, null) && integer(key, null) > 0) {
            return integer(key, null);
        }
        throw refused(key, value, "it must be one of " + new TreeSet<>(words.keySet()) + " or a positive integer");
    }

    /** Refuses what was not asked for. */
    void requireNoOthers() {
        for (String key : values.keySet()) {
            if (!known.contains(key)) {
                String remedy = NearestName.of(key, known)
                        .map(meant -> "did you mean '" + meant + "'?")
                        .orElseGet(() -> "the keys are " + String.join(", ", known));
                throw new IllegalArgumentException(
                        "preset '" + preset + "' has the unknown key '" + key + "'; " + remedy);
            }
        }
    }

    IllegalArgumentException refused(String key, Object value, String why) {
        return new IllegalArgumentException("preset '" + preset + "': " + key + " is " + shown(value) + "; " + why);
    }

    private Object value(String key, @Nullable Object otherwise) {
        known.add(key);
        Object value = values.get(key);
        if (value != null) {
            return value;
        }
        if (otherwise == null) {
            throw new IllegalArgumentException("preset '" + preset + "' lacks the key '" + key + "'");
        }
        return otherwise;
    }

    private static String shown(Object value) {
        return value instanceof String text ? "\"" + text + "\"" : String.valueOf(value);
    }
}
