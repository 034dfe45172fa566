package dev.muonium.cli.report;

import java.util.ArrayList;
import java.util.List;

/** Tables of text: the first column to the left, numbers to the right. */
final class Columns {
    private Columns() {}

    /** Lines for a terminal, two spaces between columns. */
    static List<String> aligned(List<List<String>> rows) {
        int[] widths = new int[rows.getFirst().size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                String gap = " ".repeat(widths[i] - row.get(i).length());
                line.append(i == 0 ? row.get(i) + gap : "  " + gap + row.get(i));
            }
            lines.add(line.toString().stripTrailing());
        }
        return lines;
    }
}
