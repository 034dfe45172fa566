package dev.muonium.cli.report;

import dev.muonium.memory.Purpose;
import dev.muonium.nano.RunResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * One line for each technique: memory by purpose, speed, loss.
 *
 * @param preset the model
 * @param device what it ran on
 * @param rows the first is the baseline
 */
public record TechniqueTable(String preset, String device, List<Row> rows) {
    private static final List<String> TITLES = List.of(
            "technique",
            "weights",
            "gradients",
            "state",
            "elsewhere",
            "activations",
            "workspace",
            "ledger peak",
            "process peak",
            "tokens/s",
            "step time",
            "val loss",
            "change");

    /** Copies the list. */
    public TechniqueTable {
        rows = List.copyOf(rows);
    }

    /**
     * A run.
     *
     * @param name the technique
     * @param result with the times of steps that took turns with the baseline's
     * @param stepRatio its step times by the baseline's, the median over pairs
     */
    public record Row(String name, RunResult result, double stepRatio) {}

    private List<String> cells(Row row) {
        RunResult run = row.result();
        Map<Purpose, Long> peaks = run.peakBytesByPurpose();
        double base = rows.getFirst().result().valLoss();
        return List.of(
                row.name(),
                mebibytes(peaks, Purpose.WEIGHTS),
                mebibytes(peaks, Purpose.GRADIENTS),
                mebibytes(peaks, Purpose.OPTIMIZER_STATE),
                mebibytes(peaks, Purpose.OFFLOADED_STATE),
                mebibytes(peaks, Purpose.ACTIVATIONS),
                mebibytes(peaks, Purpose.OPTIMIZER_WORKSPACE),
                mebibytes(run.peakLedgerBytes()),
                mebibytes(run.peakRssBytes()),
                String.format(Locale.ROOT, "%.0f", run.tokensPerSecond()),
                String.format(Locale.ROOT, "× %.2f", row.stepRatio()),
                String.format(Locale.ROOT, "%.4f", run.valLoss()),
                String.format(Locale.ROOT, "%+.2f %%", 100 * (run.valLoss() - base) / base));
    }

    private static String mebibytes(Map<Purpose, Long> peaks, Purpose purpose) {
        return mebibytes(peaks.getOrDefault(purpose, 0L));
    }

    private static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%.2f", bytes / (double) (1 << 20));
    }

    private List<List<String>> table() {
        List<List<String>> lines = new ArrayList<>(List.of(TITLES));
        rows.forEach(row -> lines.add(cells(row)));
        return lines;
    }

    /** Aligned columns for a terminal, in MiB. */
    public List<String> toText() {
        return Columns.aligned(table());
    }

    private String toMarkdown(boolean picture) {
        List<String> lines = new ArrayList<>(List.of(
                "# " + preset + ": what each technique saves and costs",
                "",
                "On " + device
                        + ". Memory in MiB: the most that was allocated for each purpose, by the ledger; \"elsewhere\""
                        + " lies in a file or, for a GPU, in memory of the host. Step time: the median over pairs of"
                        + " steps that took turns with the baseline's. Loss: nats per token on held-out text, one"
                        + " seed.",
                ""));
        List<List<String>> table = table();
        for (int i = 0; i < table.size(); i++) {
            lines.add("| " + String.join(" | ", table.get(i)) + " |");
            if (i == 0) {
                lines.add("|---|" + "---:|".repeat(TITLES.size() - 1));
            }
        }
        if (picture) {
            lines.addAll(List.of("", "![Memory of each run by purpose](techniques.png)"));
        }
        lines.add("");
        return String.join("\n", lines);
    }

    /**
     * Writes {@code techniques.md}, {@code techniques.json}, {@code techniques.png} and {@code techniques.svg}.
     *
     * @return why the pictures are missing, if they are
     */
    public Optional<String> write(Path folder) throws IOException {
        Json.write(this, folder.resolve("techniques.json"));
        Map<String, Map<Purpose, Long>> bars = new LinkedHashMap<>();
        for (Row row : rows) {
            Map<Purpose, Long> bar = new EnumMap<>(Purpose.class);
            bar.putAll(row.result().peakBytesByPurpose());
            bar.remove(Purpose.DATA);
            bars.put(row.name(), bar);
        }
        Optional<String> problem = Pictures.draw(
                () -> PlanChart.write(preset + ": memory with each technique", bars, 0, folder, "techniques"));
        Files.writeString(folder.resolve("techniques.md"), toMarkdown(problem.isEmpty()));
        return problem;
    }
}
