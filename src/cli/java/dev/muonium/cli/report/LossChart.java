package dev.muonium.cli.report;

import dev.muonium.nano.RunResult;
import java.awt.BasicStroke;
import java.util.Locale;
import java.util.stream.IntStream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The training loss of both runs over the steps. The baseline is a broad pale line and the other a narrow dark one upon it,
 * because the two coincide where all is well, and both must be seen.
 */
final class LossChart {
    static final int WIDTH = 900;
    static final int HEIGHT = 500;

    private LossChart() {}

    static XYChart of(Report report) {
        int window = window(report.steps());
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(String.format(
                        Locale.ROOT,
                        "%s, %.1fM parameters: %s against %s optimizer state",
                        report.preset(),
                        report.parameters() / 1e6,
                        label(report.baseline()),
                        label(report.candidate())))
                .xAxisTitle("Step")
                .yAxisTitle("Training loss (nats per token)" + (window == 1 ? "" : ", mean of " + window + " steps"))
                .build();
        ChartStyle.apply(chart.getStyler());
        chart.getStyler().setLegendPosition(LegendPosition.InsideNE);
        chart.getStyler().setXAxisDecimalPattern("#");
        chart.getStyler().setXAxisMin(0.0);
        chart.getStyler().setXAxisMax((double) report.steps());

        add(chart, report.baseline(), window)
                .setLineColor(ChartStyle.BASELINE)
                .setLineStyle(new BasicStroke(5, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        add(chart, report.candidate(), window)
                .setLineColor(ChartStyle.CANDIDATE)
                .setLineStyle(new BasicStroke(1.6f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        double order2 = report.order2LossPerToken();
        if (Double.isFinite(order2)) {
            chart.addSeries(
                            String.format(Locale.ROOT, "order-2 byte model, held out: %.3f", order2),
                            new double[] {0, report.steps()},
                            new double[] {order2, order2})
                    .setMarker(SeriesMarkers.NONE)
                    .setLineColor(ChartStyle.REFERENCE)
                    .setLineStyle(new BasicStroke(
                            1.4f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {6, 5}, 0));
        }
        return chart;
    }

    private static XYSeries add(XYChart chart, RunResult run, int window) {
        double[] loss = movingAverage(
                run.trainLoss().stream().mapToDouble(Double::doubleValue).toArray(), window);
        double[] steps = IntStream.rangeClosed(1, loss.length).asDoubleStream().toArray();
        String name = String.format(Locale.ROOT, "%s, held out after the last step: %.3f", label(run), run.valLoss());
        XYSeries series = chart.addSeries(name, steps, loss);
        series.setMarker(SeriesMarkers.NONE);
        return series;
    }

    static String label(RunResult run) {
        return run.name().contains("=") ? run.name() : run.name().toUpperCase(Locale.ROOT);
    }

    /** A hundredth of the steps: it takes the noise of single batches away and leaves the course. */
    private static int window(int steps) {
        return Math.max(1, steps / 100);
    }

    /** The mean of the last {@code window} values, or of as many as there are yet. A non-finite value stays a gap. */
    static double[] movingAverage(double[] values, int window) {
        double[] means = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            int from = Math.max(0, i - window + 1);
            means[i] = IntStream.rangeClosed(from, i)
                    .mapToDouble(j -> values[j])
                    .average()
                    .orElse(Double.NaN);
        }
        return means;
    }
}
