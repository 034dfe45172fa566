package dev.muonium.plan;

import dev.muonium.memory.Purpose;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a run will hold, in bytes, as the ledger counts it.
 *
 * @param bytes by purpose; what lies in a file or, for a GPU, in memory of the host ({@link Purpose#OFFLOADED_STATE}) is not in the peak
 * @param stateByOptimizer optimizer state by {@code muon} and {@code adamw}, with scales, without projections
 * @param passing what is there for a moment beside all the rest: sketches of GaLore when a projection is refreshed
 */
public record MemoryPlan(Map<Purpose, Long> bytes, Map<String, Long> stateByOptimizer, long passing) {
    /** Copies the maps. */
    public MemoryPlan {
        bytes = bytes.isEmpty() ? Map.of() : new EnumMap<>(bytes);
        stateByOptimizer = new LinkedHashMap<>(stateByOptimizer);
    }

    /** Bytes of a purpose. */
    public long bytes(Purpose purpose) {
        return bytes.getOrDefault(purpose, 0L);
    }

    /** All that is held at the same time on the device. */
    public long total() {
        long sum = 0;
        for (Map.Entry<Purpose, Long> entry : bytes.entrySet()) {
            sum += entry.getKey() == Purpose.OFFLOADED_STATE ? 0 : entry.getValue();
        }
        return sum;
    }

    /** The most at any time: what the ledger's peak will be. */
    public long peak() {
        return total() + passing;
    }
}
