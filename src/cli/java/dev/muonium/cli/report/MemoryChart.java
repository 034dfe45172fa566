package dev.muonium.cli.report;

import dev.muonium.nano.RunResult;
import java.awt.Font;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToLongFunction;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.style.Styler.LegendPosition;

/** Bars of what the runs hold in memory, by purpose. */
final class MemoryChart {
    static final int WIDTH = 1000;
    static final int HEIGHT = 500;

    /** In the order of interest; those that no run has are left out. */
    private static final List<Map.Entry<String, ToLongFunction<RunResult>>> BARS = List.of(
            Map.entry("Optimizer state", RunResult::optimizerStateBytes),
            Map.entry("Optimizer workspace", RunResult::optimizerWorkspaceBytes),
            Map.entry("Weights", RunResult::weightsBytes),
            Map.entry("Master weights", RunResult::masterWeightsBytes),
            Map.entry("Gradients", RunResult::gradientsBytes),
            Map.entry("Activations", RunResult::activationsBytes),
            Map.entry("Peak, ledger", RunResult::peakLedgerBytes),
            Map.entry("Peak, GPU", RunResult::peakDeviceGrowth),
            Map.entry("Peak, process", RunResult::peakRssBytes));

    private MemoryChart() {}

    static CategoryChart of(Report report) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(String.format(
                        Locale.ROOT,
                        "%s: %.1f %% less optimizer state",
                        report.preset(),
                        100 * report.reduction().optimizerState()))
                .xAxisTitle("")
                .yAxisTitle("Memory (MiB)")
                .build();
        ChartStyle.apply(chart.getStyler());
        chart.getStyler().setXAxisTitleVisible(false);
        chart.getStyler().setLegendPosition(LegendPosition.InsideNW);
        chart.getStyler().setAvailableSpaceFill(0.75);
        chart.getStyler().setLabelsVisible(true);
        chart.getStyler().setLabelsPosition(1.03);
        chart.getStyler().setLabelsFontColorAutomaticEnabled(false);
        chart.getStyler().setLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 11));
        chart.getStyler().setYAxisMin(0.0);
        List<Map.Entry<String, ToLongFunction<RunResult>>> shown = BARS.stream()
                .filter(bar ->
                        report.runs().stream().anyMatch(run -> bar.getValue().applyAsLong(run) > 0))
                .toList();
        add(chart, shown, report.baseline()).setFillColor(ChartStyle.BASELINE);
        add(chart, shown, report.candidate()).setFillColor(ChartStyle.CANDIDATE);
        return chart;
    }

    private static CategorySeries add(
            CategoryChart chart, List<Map.Entry<String, ToLongFunction<RunResult>>> bars, RunResult run) {
        List<String> names = new ArrayList<>();
        List<Double> mebibytes = new ArrayList<>();
        for (Map.Entry<String, ToLongFunction<RunResult>> bar : bars) {
            names.add(bar.getKey());
            // Rounded, because the bars are labelled with all digits that the numbers have.
            mebibytes.add(Math.rint(10.0 * bar.getValue().applyAsLong(run) / (1 << 20)) / 10);
        }
        return chart.addSeries(LossChart.label(run), names, mebibytes);
    }
}
