package dev.muonium.cli.report;

import dev.muonium.nano.RunResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;

/** The measured figures of both runs side by side, for the terminal and for Markdown. */
public final class ComparisonTable {
    /** The cells of one line; {@code change} is empty where a percentage would say nothing. */
    private record Row(String label, String baseline, String candidate, String change) {}

    private final List<Row> rows = new ArrayList<>();

    private ComparisonTable() {}

    /** The table of a report. */
    public static ComparisonTable of(Report report) {
        RunResult a = report.baseline();
        RunResult b = report.candidate();
        ComparisonTable table = new ComparisonTable();
        table.rows.add(new Row("", LossChart.label(a), LossChart.label(b), "change"));
        table.bytes("Optimizer state", a.optimizerStateBytes(), b.optimizerStateBytes());
        TreeSet<String> optimizers =
                new TreeSet<>(a.optimizerStateBytesByOptimizer().keySet());
        optimizers.addAll(b.optimizerStateBytesByOptimizer().keySet());
        for (String optimizer : optimizers) {
            table.bytes(
                    "  of it " + optimizer,
                    a.optimizerStateBytesByOptimizer().getOrDefault(optimizer, 0L),
                    b.optimizerStateBytesByOptimizer().getOrDefault(optimizer, 0L));
        }
        table.bytes("Optimizer workspace", a.optimizerWorkspaceBytes(), b.optimizerWorkspaceBytes());
        table.bytes("Weights", a.weightsBytes(), b.weightsBytes());
        if (a.masterWeightsBytes() > 0 || b.masterWeightsBytes() > 0) {
            table.bytes("Master weights", a.masterWeightsBytes(), b.masterWeightsBytes());
        }
        table.bytes("Gradients", a.gradientsBytes(), b.gradientsBytes());
        table.bytes("Activations", a.activationsBytes(), b.activationsBytes());
        table.bytes("Peak, ledger", a.peakLedgerBytes(), b.peakLedgerBytes());
        if (a.peakDeviceGrowth() >= 0 && b.peakDeviceGrowth() >= 0) {
            table.bytes("Peak, GPU (driver's count)", a.peakDeviceGrowth(), b.peakDeviceGrowth());
        }
        table.bytes("Peak, process", a.peakRssBytes(), b.peakRssBytes());
        table.number("Tokens per second", "%.0f", a.tokensPerSecond(), b.tokensPerSecond());
        table.number("Step (ms)", "%.1f", a.stepMsMedian(), b.stepMsMedian());
        table.number("Optimizer (ms)", "%.2f", a.optimizerMsMedian(), b.optimizerMsMedian());
        table.number("Held-out loss (nats/token)", "%.4f", a.valLoss(), b.valLoss());
        table.rows.add(
                new Row("Non-finite steps", Long.toString(a.nonFiniteSteps()), Long.toString(b.nonFiniteSteps()), ""));
        return table;
    }

    /** Aligned columns for a terminal, one line each. */
    public List<String> toText() {
        return Columns.aligned(rows.stream().map(ComparisonTable::cells).toList());
    }

    /** The same as a Markdown table. */
    public List<String> toMarkdown() {
        List<String> lines = new ArrayList<>();
        for (Row row : rows) {
            // Markdown drops leading spaces; what is part of another line is told by its indentation.
            String label = row.label().replace("  ", "&nbsp;&nbsp;");
            lines.add("| " + label + " | " + row.baseline() + " | " + row.candidate() + " | " + row.change() + " |");
        }
        lines.add(1, "|---|---:|---:|---:|");
        return lines;
    }

    private void bytes(String label, long baseline, long candidate) {
        rows.add(new Row(
                label, mebibytes(baseline), mebibytes(candidate), change((double) baseline, (double) candidate)));
    }

    private void number(String label, String format, double baseline, double candidate) {
        rows.add(new Row(
                label,
                String.format(Locale.ROOT, format, baseline),
                String.format(Locale.ROOT, format, candidate),
                change(baseline, candidate)));
    }

    private static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%.2f MiB", bytes / (double) (1 << 20));
    }

    private static String change(double from, double to) {
        double percent = 100 * (to - from) / from;
        return Double.isFinite(percent) ? String.format(Locale.ROOT, "%+.2f %%", percent) : "";
    }

    private static List<String> cells(Row row) {
        return List.of(row.label(), row.baseline(), row.candidate(), row.change());
    }
}
