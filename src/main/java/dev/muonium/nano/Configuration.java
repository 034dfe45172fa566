package dev.muonium.nano;

import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** A preset as flat texts by key, to be written beside a checkpoint and compared when a run is resumed. */
final class Configuration {
    /** What does not change the bits of a run: where state lies, what is recomputed, when is looked and saved; and its length, which only the schedule follows. */
    private static final Set<String> FREE = Set.of(
            "steps",
            "eval_every",
            "eval_batches",
            "sample_prompt",
            "sample_tokens",
            "sample_temperature",
            "sample_top_k",
            "every",
            "keep_last",
            "in_background",
            "offload_optimizer");

    private Configuration() {}

    static Map<String, String> of(Preset preset) {
        Map<String, String> values = new TreeMap<>();
        values.put("preset", preset.name());
        values.put("tokenizer", preset.tokenizer());
        put(values, preset.model());
        put(values, preset.training());
        return values;
    }

    private static void put(Map<String, String> values, Record record) {
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            try {
                Object value = component.getAccessor().invoke(record);
                if (value instanceof Record nested) {
                    put(values, nested);
                } else {
                    values.put(key(component.getName()), String.valueOf(value));
                }
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("a record's accessor cannot be called", e);
            }
        }
    }

    /** {@code matrixLr} becomes {@code matrix_lr}. */
    private static String key(String component) {
        return component.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }

    /**
     * Checks that a run goes on as it began.
     *
     * @throws IllegalArgumentException if a key that changes the result has another value; one sentence names those that do
     */
    static void requireSame(Map<String, String> saved, Preset preset) {
        List<String> different = new ArrayList<>();
        of(preset).forEach((key, value) -> {
            String before = saved.get(key);
            if (!FREE.contains(key) && !key.equals("preset") && !value.equals(before)) {
                different.add(key + " (" + (before == null ? "not known" : before) + " there, " + value + " here)");
            }
        });
        if (!different.isEmpty()) {
            throw new IllegalArgumentException("the checkpoint is of another configuration: "
                    + String.join(", ", different) + "; resume with the same, or save to another folder");
        }
    }
}
