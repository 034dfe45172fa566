package dev.muonium.cli.report;

import dev.muonium.memory.Purpose;
import dev.muonium.plan.ByteCount;
import dev.muonium.plan.MemoryPlan;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Plans side by side: a row each, a column for each purpose that one of them has. */
public final class PlanTable {
    /** The columns, in the order of interest. */
    static final List<Map.Entry<String, Purpose>> COLUMNS = List.of(
            Map.entry("weights", Purpose.WEIGHTS),
            Map.entry("master", Purpose.MASTER_WEIGHTS),
            Map.entry("gradients", Purpose.GRADIENTS),
            Map.entry("state", Purpose.OPTIMIZER_STATE),
            Map.entry("activations", Purpose.ACTIVATIONS),
            Map.entry("workspace", Purpose.OPTIMIZER_WORKSPACE),
            Map.entry("scratch", Purpose.WORKSPACE),
            Map.entry("data", Purpose.DATA),
            Map.entry("copy", Purpose.CHECKPOINT));

    private final Map<String, MemoryPlan> plans;
    private final long budget;

    /** @param budget marks those that exceed it; 0 for none */
    public PlanTable(Map<String, MemoryPlan> plans, long budget) {
        this.plans = plans;
        this.budget = budget;
    }

    static List<Map.Entry<String, Purpose>> shown(Collection<Map<Purpose, Long>> bytes) {
        return COLUMNS.stream()
                .filter(column -> bytes.stream().anyMatch(each -> each.getOrDefault(column.getValue(), 0L) > 0))
                .toList();
    }

    /** Lines of text. */
    public List<String> toText() {
        List<Map.Entry<String, Purpose>> columns =
                shown(plans.values().stream().map(MemoryPlan::bytes).toList());
        boolean offloads = plans.values().stream().anyMatch(plan -> plan.bytes(Purpose.OFFLOADED_STATE) > 0);
        boolean large = plans.values().stream().anyMatch(plan -> plan.peak() > 4L << 30);
        int width = plans.keySet().stream().mapToInt(String::length).max().orElse(0);
        List<String> lines = new ArrayList<>();
        StringBuilder head = new StringBuilder(String.format("%-" + width + "s", large ? "GiB" : "MiB"));
        columns.forEach(column -> head.append(String.format("  %11s", column.getKey())));
        head.append(offloads ? "  | elsewhere" : "").append(String.format("  | %9s", "peak"));
        lines.add(head.toString());
        plans.forEach((name, plan) -> {
            StringBuilder row = new StringBuilder(String.format("%-" + width + "s", name));
            columns.forEach(column ->
                    row.append(String.format("  %11s", number(plan.bytes(column.getValue()), large))));
            if (offloads) {
                row.append(String.format("  | %9s", number(plan.bytes(Purpose.OFFLOADED_STATE), large)));
            }
            row.append(String.format("  | %9s", number(plan.peak(), large)));
            if (budget > 0 && plan.peak() > budget) {
                row.append("  more than ").append(ByteCount.format(budget));
            }
            lines.add(row.toString());
        });
        return lines;
    }

    private static String number(long bytes, boolean large) {
        return String.format(Locale.ROOT, large ? "%,.3f" : "%,.2f", bytes / (double) (large ? 1L << 30 : 1L << 20));
    }
}
