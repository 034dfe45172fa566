package dev.muonium.cli.report;

import java.nio.file.Path;

/** Writes a report in a process of its own and prints what it says about the pictures. */
final class ReportWriter {
    private ReportWriter() {}

    public static void main(String[] args) {
        System.out.println(ReportFolder.prepare(Path.of(args[0]))
                .write(SampleReport.of(10), "muonium compare")
                .orElse("complete"));
    }
}
