package dev.muonium.cli;

import dev.muonium.nano.Trainer;
import dev.muonium.nano.UpdateRecorder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Whether, when and where Muon's updates are written to files. */
final class RecordingOptions {
    private static final int PARTS = 4;

    @Option(
            names = "--record-updates",
            paramLabel = "DIR",
            description =
                    "Write what Newton-Schulz gets, and the gradients, of each matrix of the blocks to this folder:"
                            + " one safetensors file per recorded step.")
    private @Nullable Path folder;

    @Option(
            names = "--record-at",
            paramLabel = "STEP",
            split = ",",
            description = "The steps to record, from 1 (default: the first, and the end of each quarter of the run).")
    private List<Integer> steps = List.of();

    /** @throws UserMistake if the folder cannot be made, or there is nothing to record */
    void attachTo(Trainer trainer, int total) {
        if (folder == null) {
            if (!steps.isEmpty()) {
                throw new UserMistake("--record-at needs the folder of the files: --record-updates DIR --record-at "
                        + steps.getFirst());
            }
            return;
        }
        try {
            trainer.record(new UpdateRecorder(folder, steps.isEmpty() ? quarters(total) : steps));
            Files.createDirectories(folder);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        } catch (IOException e) {
            throw new UserMistake("the folder '" + folder + "' cannot be made: " + e.getMessage(), e);
        }
    }

    private static List<Integer> quarters(int total) {
        return IntStream.rangeClosed(0, PARTS)
                .map(part -> Math.max(1, total * part / PARTS))
                .boxed()
                .toList();
    }
}
