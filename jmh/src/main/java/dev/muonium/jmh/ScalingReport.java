package dev.muonium.jmh;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Writes what {@link Scaling} measured: a table for the eye, a file and a picture for the documentation. */
final class ScalingReport {
    private ScalingReport() {}

    static String header() {
        return """
            | matrices | parameters | threads | step, ms (quartiles) | ns/parameter | of the peak | as the plain way | of a copy |
            |---|---:|---:|---:|---:|---:|---:|---:|\
            """;
    }

    static String line(ScalingRow row) {
        return String.format(
                Locale.ROOT,
                "| %s | %.1fM | %d | %s | %.2f | %.0f %% | %.0f %% | %.1f %% |",
                row.label(),
                row.parameters() / 1e6,
                row.threads(),
                row.millis(),
                row.nanosPerParameter(),
                100 * row.share(),
                100 * row.plainShare(),
                100 * row.bandwidthShare());
    }

    /** Writes {@code scaling.csv} and {@code scaling.png} into a folder, and says so. */
    static String write(Path folder, String machine, List<ScalingRow> rows) throws IOException {
        List<String> lines = new ArrayList<>(List.of(
                "# " + machine,
                "matrices,parameters,threads,steps,ms,lower,upper,plain flops,flops,bytes,peak GF/s,copy GB/s,share of"
                        + " the peak,share as the plain way,share of the copy"));
        for (ScalingRow row : rows) {
            lines.add(String.format(
                    Locale.ROOT,
                    "%s,%d,%d,%d,%.4f,%.4f,%.4f,%.0f,%.0f,%.0f,%.2f,%.2f,%.4f,%.4f,%.4f",
                    row.label(),
                    row.parameters(),
                    row.threads(),
                    row.steps(),
                    row.millis().median(),
                    row.millis().lower(),
                    row.millis().upper(),
                    row.plainFlops(),
                    row.flops(),
                    row.bytes(),
                    row.peak(),
                    row.copy(),
                    row.share(),
                    row.plainShare(),
                    row.bandwidthShare()));
        }
        Files.createDirectories(folder);
        Path figures = folder.resolve("scaling.csv");
        Path picture = folder.resolve("scaling.png");
        Files.write(figures, lines);
        Charts.write(chart(machine, rows), picture);
        return figures + ", " + picture;
    }

    /** Time over parameters, both logarithmic: a straight line of slope 1 is a time in proportion to them. */
    private static XYChart chart(String machine, List<ScalingRow> rows) {
        XYChart chart = Charts.of("INT8 Muon step", "Parameters (" + machine + ")", "Seconds");
        chart.getStyler().setXAxisLogarithmic(true);
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setLegendPosition(LegendPosition.InsideNW);
        for (int count : rows.stream().map(ScalingRow::threads).distinct().toList()) {
            List<ScalingRow> ofThem =
                    rows.stream().filter(row -> row.threads() == count).toList();
            Charts.line(
                    chart,
                    count == 1 ? "1 thread" : count + " threads",
                    ofThem.stream().map(row -> (double) row.parameters()).toList(),
                    ofThem.stream().map(row -> row.millis().median() / 1e3).toList(),
                    SeriesMarkers.CIRCLE);
        }
        return chart;
    }
}
