package dev.muonium.jmh;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Writes what was measured: a table for the eye, a file for the documentation. */
final class PeerReport {
    private static final String GPT_SET = PeerOptions.label("gpt2-small");

    private PeerReport() {}

    static String header() {
        return """
            | matrices | threads | pairs | torch.optim.Muon, ms | its way | Muonium, ms | ratio | by processor time | Keller's steps, ms | ratio | by processor time | updates differ by |
            |---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|\
            """;
    }

    static String line(PeerRow row) {
        return String.format(
                Locale.ROOT,
                "| %s | %d | %d | %.1f | %s | %.1f | %s | %.2f | %.1f | %s | %.2f | %.3f, %.3f |",
                row.label(),
                row.threads(),
                row.pairs(),
                row.peerMillis().median(),
                row.peer(),
                row.defaultMillis().median(),
                row.defaultRatio(),
                row.defaultProcessorRatio().median(),
                row.kellerMillis().median(),
                row.kellerRatio(),
                row.kellerProcessorRatio().median(),
                row.defaultDifference(),
                row.difference());
    }

    /** The two last lines: the GPT set's speed-up per number of threads, with Keller's five steps and with the default policy. */
    static String conclusion(List<PeerRow> rows) {
        return "GPT-set speed-up with Keller's five steps: " + speedUps(rows, PeerRow::kellerRatio)
                + "\nGPT-set speed-up: " + speedUps(rows, PeerRow::defaultRatio);
    }

    private static String speedUps(List<PeerRow> rows, Function<PeerRow, Quartiles> ratio) {
        String figures = rows.stream()
                .filter(row -> row.label().equals(GPT_SET))
                .map(row -> String.format(Locale.ROOT, "%.2f", ratio.apply(row).median()))
                .collect(Collectors.joining(" "));
        return figures.isEmpty() ? "not measured" : figures;
    }

    /** @param machine lines that say where and with what it was measured; they precede the figures, after a {@code #} */
    static void write(Path file, List<String> machine, List<PeerRow> rows) throws IOException {
        List<String> lines = new ArrayList<>();
        machine.forEach(line -> lines.add("# " + line));
        lines.add("matrices,parameters,threads,pairs,peer way,peer ms,lower,upper,muonium"
                + " ms,lower,upper,ratio,lower,upper,processor ratio,lower,upper,keller ms,lower,upper,keller"
                + " ratio,lower,upper,keller processor ratio,lower,upper,difference,keller difference");
        for (PeerRow row : rows) {
            lines.add(String.format(
                    Locale.ROOT,
                    "\"%s\",%d,%d,%d,%s,%s,%s,%s,%s,%s,%s,%s,%.5f,%.5f",
                    row.label(),
                    row.parameters(),
                    row.threads(),
                    row.pairs(),
                    row.peer(),
                    csv(row.peerMillis()),
                    csv(row.defaultMillis()),
                    csv(row.defaultRatio()),
                    csv(row.defaultProcessorRatio()),
                    csv(row.kellerMillis()),
                    csv(row.kellerRatio()),
                    csv(row.kellerProcessorRatio()),
                    row.defaultDifference(),
                    row.difference()));
        }
        Files.createDirectories(file.toAbsolutePath().getParent());
        Files.write(file, lines);
    }

    private static String csv(Quartiles figures) {
        return String.format(Locale.ROOT, "%.4f,%.4f,%.4f", figures.median(), figures.lower(), figures.upper());
    }
}
