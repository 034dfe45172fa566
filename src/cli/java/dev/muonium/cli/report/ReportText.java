package dev.muonium.cli.report;

import dev.muonium.nano.RunResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The report in Markdown. */
final class ReportText {
    private ReportText() {}

    static String of(Report report, String command, boolean pictures) {
        List<String> lines = new ArrayList<>();
        RunResult baseline = report.baseline();
        RunResult candidate = report.candidate();
        Machine machine = report.machine();
        boolean formats = !(baseline.name() + candidate.name()).contains("=");
        lines.add("# " + report.preset() + ": " + LossChart.label(baseline) + " against " + LossChart.label(candidate)
                + (formats ? " optimizer state" : ""));
        lines.add("");
        lines.add(String.format(
                Locale.ROOT,
                "Two runs of one GPT (%,d parameters) over %d steps of %,d tokens of \"%s\" (%s tokens), seed %d; "
                        + (formats
                                ? "only the format of the optimizer state differs."
                                : "they differ as they are named."),
                report.parameters(),
                report.steps(),
                report.tokensPerStep(),
                report.text(),
                report.tokenizer(),
                report.seed()));
        lines.add("");
        lines.add(String.format(
                Locale.ROOT,
                "Muonium %s, Java %s, %s: %s. Precision: %s.",
                report.version(),
                machine.java(),
                machine.device(),
                machine.describe(),
                report.precision()));
        lines.add("");
        lines.add("```");
        lines.add(command);
        lines.add("```");
        lines.add("");
        lines.addAll(ComparisonTable.of(report).toMarkdown());
        lines.add("");
        if (pictures) {
            lines.add("![Training loss of both runs over the steps](loss.png)");
            lines.add("");
            lines.add("![Memory of both runs by purpose](memory.png)");
            lines.add("");
        }
        lines.add("## How it was measured");
        lines.add("");
        lines.add(
                "- Memory and loss: one process per run. The ledger counts every byte that was allocated off the heap,"
                        + " by purpose; the peak of the process is its VmHWM, with the JVM and the training text.");
        if (baseline.peakDeviceGrowth() >= 0) {
            lines.add("- The peak of the GPU is by how much more of its memory was in use than before the model was"
                    + " made, looked at after every step with cudaMemGetInfo. The ledger also has page-locked"
                    + " memory of the host.");
        }
        lines.add(String.format(
                Locale.ROOT,
                "- Speed: both trainers in one JVM, their steps taking turns (%d pairs). Step times of %s by those of"
                        + " %s: median %.3f, quartiles %.3f to %.3f.",
                report.speed().pairs(),
                LossChart.label(candidate),
                LossChart.label(baseline),
                report.speed().medianRatio(),
                report.speed().lowerQuartile(),
                report.speed().upperQuartile()));
        lines.add(String.format(
                Locale.ROOT,
                "- Loss: held-out text, after the last step. The runs differ by %.3f %%. For scale, an order-2 byte"
                        + " model of the training split has %.4f nats per token (%.4f per byte).",
                100 * report.valLossDifference(),
                report.order2LossPerToken(),
                report.order2ByteModelLoss()));
        lines.add("");
        return String.join("\n", lines);
    }
}
