package dev.muonium.cli.report;

import dev.muonium.memory.Purpose;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.style.Styler.LegendPosition;

/** A stacked bar for each plan, a colour for each purpose. */
public final class PlanChart {
    private static final int WIDTH = 1100;
    private static final int WIDTH_OF_BAR = 120;
    private static final int HEIGHT = 620;

    /** Colours that can be told apart also by those who see few (Okabe and Ito), in the order of {@link PlanTable#COLUMNS}. */
    private static final List<Color> COLOURS = List.of(
            new Color(0x0072B2),
            new Color(0x56B4E9),
            new Color(0xE69F00),
            new Color(0xD55E00),
            new Color(0x009E73),
            new Color(0xCC79A7),
            new Color(0x999999),
            new Color(0xF0E442),
            new Color(0x555555));

    private PlanChart() {}

    /**
     * Writes {@code <name>.png} and {@code <name>.svg}.
     *
     * @param bars bytes by purpose of each bar
     * @param budget a line across all bars; 0 for none
     */
    public static void write(String title, Map<String, Map<Purpose, Long>> bars, long budget, Path folder, String name)
            throws IOException {
        CategoryChart chart = of(title, bars, budget);
        Pictures.writePng(chart, folder.resolve(name + ".png"));
        Pictures.writeSvg(chart, folder.resolve(name + ".svg"));
    }

    private static long total(Map<Purpose, Long> bar) {
        return bar.values().stream().mapToLong(Long::longValue).sum();
    }

    private static CategoryChart of(String title, Map<String, Map<Purpose, Long>> bars, long budget) {
        boolean large = bars.values().stream().anyMatch(bar -> total(bar) > 4L << 30);
        double unit = large ? 1L << 30 : 1L << 20;
        String unitName = large ? "GiB" : "MiB";
        CategoryChart chart = new CategoryChartBuilder()
                .width(Math.max(WIDTH, WIDTH_OF_BAR * bars.size()))
                .height(HEIGHT)
                .title(title)
                .xAxisTitle("")
                .yAxisTitle("Memory (" + unitName + ")")
                .build();
        ChartStyle.apply(chart.getStyler());
        chart.getStyler().setStacked(true);
        chart.getStyler().setXAxisTitleVisible(false);
        chart.getStyler().setXAxisLabelRotation(45);
        chart.getStyler().setXAxisMaxLabelCount(bars.size());
        chart.getStyler().setLegendPosition(LegendPosition.OutsideE);
        chart.getStyler().setAvailableSpaceFill(0.7);
        chart.getStyler().setYAxisMin(0.0);
        List<String> names = new ArrayList<>(bars.keySet());
        for (Map.Entry<String, Purpose> column : PlanTable.shown(bars.values())) {
            List<Double> values = bars.values().stream()
                    .map(bar -> bar.getOrDefault(column.getValue(), 0L) / unit)
                    .toList();
            chart.addSeries(column.getKey(), names, values)
                    .setFillColor(COLOURS.get(PlanTable.COLUMNS.indexOf(column)));
        }
        if (budget > 0) {
            List<Double> line = names.stream().map(name -> budget / unit).toList();
            CategorySeries series = chart.addSeries("budget", names, line);
            series.setChartCategorySeriesRenderStyle(CategorySeries.CategorySeriesRenderStyle.Line);
            series.setLineColor(Color.RED);
            series.setMarkerColor(Color.RED);
            series.setOverlapped(true);
        }
        return chart;
    }
}
