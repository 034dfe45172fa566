package dev.muonium.plan;

import dev.muonium.memory.Purpose;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the operating system will count for a process that trains on a CPU, beyond what it counted when the JVM had started and the device was
 * open: the ledger's peak and what no ledger sees. Of {@code ./muonium}'s JVM; another one, with other limits of heap and compiler, has more.
 *
 * <p>Tensors are written to when they are made, so all that the ledger counts is resident. The rest was measured by mappings
 * ({@code /proc/self/smaps}) and by the JVM's own accounts, for the small presets. It grows a little with the model, which is not planned: 31 to 41 MiB
 * for {@code tiny}, 47 to 54 MiB for {@code test-8bit}, 85 MiB for {@code d20-e3-full}, both with the tokenizer's tables.
 *
 * @param items bytes by what they are, in the order to show them
 */
public record ProcessPlan(Map<String, Long> items) {
    private static final long MIB = 1 << 20;

    /** Objects that live through a run, in an old generation that is a third larger than they are, as the launcher's options have it. */
    private static final long HEAP = 7 * MIB;

    /** Machine code that the JVM compiles. */
    private static final long CODE = 7 * MIB / 2;

    /** What the JVM's compilers hold at the largest method: the launcher's limit. */
    private static final long COMPILER = 8 * MIB;

    /** Pages of oneDNN's library that its products read. */
    private static final long ONEDNN = 9 * MIB / 2;

    /** Classes, symbols, oneDNN's kernels and descriptions, and freed memory that malloc keeps: not told apart. From run to run between 7 and 17 MiB. */
    private static final long REST = 23 * MIB / 2;

    /** Copies the map. */
    public ProcessPlan {
        items = Collections.unmodifiableMap(new LinkedHashMap<>(items));
    }

    /**
     * Plans for a CPU.
     *
     * @param plan what the ledger will count
     * @param tokenizer bytes of the tokenizer's tables on the heap; 0 for bytes
     */
    public static ProcessPlan of(MemoryPlan plan, long tokenizer) {
        Map<String, Long> items = new LinkedHashMap<>();
        items.put("all of the ledger", plan.peak());
        if (plan.bytes(Purpose.OFFLOADED_STATE) > 0) {
            items.put("pages of the state's file, at most", plan.bytes(Purpose.OFFLOADED_STATE));
        }
        if (tokenizer > 0) {
            items.put("the tokenizer's tables", tokenizer);
        }
        items.put("objects on the heap", HEAP);
        items.put("compiled code", CODE);
        items.put("compilers at work", COMPILER);
        items.put("pages of oneDNN's library", ONEDNN);
        items.put("classes, kernels, malloc's rest", REST);
        return new ProcessPlan(items);
    }

    /** All of it. */
    public long total() {
        return items.values().stream().mapToLong(Long::longValue).sum();
    }
}
