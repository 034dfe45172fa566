package dev.muonium.cli.report;

import dev.muonium.cli.UserMistake;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import tools.jackson.core.JacksonException;

/** The folder that a report is written to. */
public final class ReportFolder {
    private final Path folder;

    private ReportFolder(Path folder) {
        this.folder = folder;
    }

    /**
     * Makes the folder and tries to write to it, so that nobody learns after an hour of training that the report is lost.
     *
     * @throws UserMistake if it is a file, or cannot be made or written to
     */
    public static ReportFolder prepare(Path folder) {
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw new UserMistake("the report folder '" + folder + "' is a file; name another with --out");
        }
        try {
            Files.createDirectories(folder);
            Files.delete(Files.createTempFile(folder, ".muonium", ".tmp"));
        } catch (IOException e) {
            throw new UserMistake(
                    "the report folder '" + folder + "' cannot be written to (" + e + "); name another with --out", e);
        }
        return new ReportFolder(folder);
    }

    /** Where it is. */
    public Path path() {
        return folder;
    }

    /** Where the result of one run goes, for the process that makes it. */
    public Path runFile(String run) {
        return folder.resolve("run-" + run + ".json");
    }

    /**
     * Writes {@code report.json}, {@code report.md}, {@code loss.svg}, {@code loss.png} and {@code memory.png}.
     *
     * @return why the pictures are missing, if they are: a machine may have no fonts
     * @throws UserMistake if a file cannot be written
     */
    public Optional<String> write(Report report, String command) {
        try {
            Json.write(report, folder.resolve("report.json"));
            Optional<String> problem = writePictures(report);
            Files.writeString(folder.resolve("report.md"), ReportText.of(report, command, problem.isEmpty()));
            return problem;
        } catch (IOException | JacksonException e) {
            throw new UserMistake("the report cannot be written to '" + folder + "': " + e, e);
        }
    }

    private Optional<String> writePictures(Report report) throws IOException {
        return Pictures.draw(() -> {
            Pictures.writePng(LossChart.of(report), folder.resolve("loss.png"));
            Pictures.writeSvg(LossChart.of(report), folder.resolve("loss.svg"));
            Pictures.writePng(MemoryChart.of(report), folder.resolve("memory.png"));
        });
    }
}
