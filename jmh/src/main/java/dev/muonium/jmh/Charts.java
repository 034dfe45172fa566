package dev.muonium.jmh;

import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.Marker;

/** Line charts of the documentation, all of one look. */
public final class Charts {
    private static final Color[] COLORS = {
        new Color(0x5A, 0x9B, 0xD5),
        new Color(0xC4, 0x3C, 0x00),
        new Color(0x44, 0x88, 0x44),
        new Color(0x8E, 0x5B, 0xB5),
        new Color(0xC9, 0x96, 0x1A),
        new Color(0x66, 0x66, 0x66)
    };
    private static final int DOTS_PER_INCH = 144;

    private Charts() {}

    /** An empty chart. */
    public static XYChart of(String title, String x, String y) {
        XYChart chart = new XYChartBuilder()
                .width(900)
                .height(500)
                .title(title)
                .xAxisTitle(x)
                .yAxisTitle(y)
                .build();
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.getStyler().setPlotBackgroundColor(Color.WHITE);
        chart.getStyler().setPlotBorderVisible(false);
        chart.getStyler().setPlotGridLinesColor(new Color(0xE4, 0xE4, 0xE4));
        chart.getStyler().setPlotGridLinesStroke(new BasicStroke(1));
        chart.getStyler().setLegendBorderColor(Color.WHITE);
        chart.getStyler().setLocale(Locale.ROOT);
        return chart;
    }

    /** Adds a line in the next color. */
    public static void line(XYChart chart, String name, List<Double> x, List<Double> y, Marker marker) {
        XYSeries series = chart.addSeries(name, x, y);
        Color color = COLORS[(chart.getSeriesCollection().size() - 1) % COLORS.length];
        series.setMarker(marker);
        series.setMarkerColor(color);
        series.setLineColor(color);
        series.setLineStyle(new BasicStroke(2));
    }

    /** Writes it as PNG. */
    public static void write(XYChart chart, Path file) throws IOException {
        BitmapEncoder.saveBitmapWithDPI(chart, file.toString(), BitmapEncoder.BitmapFormat.PNG, DOTS_PER_INCH);
    }
}
