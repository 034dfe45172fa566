package dev.muonium.cli;

import dev.muonium.checkpoint.Checkpoint;
import dev.muonium.checkpoint.CheckpointException;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.nano.Trainer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A run's checkpoints, or none. Owns the saver. */
final class SavedRun implements AutoCloseable {
    private final @Nullable CheckpointSaver saver;
    private final boolean resumes;

    SavedRun(@Nullable CheckpointSaver saver, boolean resumes) {
        this.saver = saver;
        this.resumes = resumes;
    }

    @Nullable
    CheckpointSaver saver() {
        return saver;
    }

    /**
     * Goes on with the newest valid checkpoint, if that was asked for.
     *
     * @return what to tell the user, a sentence a line
     * @throws UserMistake if there is none, or it is of another configuration
     */
    List<String> resume(Trainer trainer) {
        List<String> lines = new ArrayList<>();
        if (saver == null || !resumes) {
            return lines;
        }
        CheckpointFolder.Found found = CheckpointFolder.newest(saver.folder().path());
        found.skipped().forEach(skipped -> lines.add("skipped: " + skipped.reason()));
        if (found.checkpoint().isEmpty()) {
            throw new UserMistake(
                    "there is no valid checkpoint in '" + saver.folder().path() + "' to go on with"
                            + (lines.isEmpty() ? "" : "; " + String.join("; ", lines)));
        }
        try (Checkpoint checkpoint = found.checkpoint().get()) {
            trainer.resume(checkpoint);
            lines.add(
                    String.format(Locale.ROOT, "goes on at step %d, from '%s'", trainer.steps(), checkpoint.folder()));
        } catch (IllegalArgumentException | CheckpointException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
        return lines;
    }

    /** Waits for the last checkpoint; says where it is, or why it is not. */
    Optional<String> finish() {
        if (saver == null) {
            return Optional.empty();
        }
        saver.await();
        return Optional.of(saver.failure()
                .map(failure -> "checkpoint: " + failure.getMessage())
                .orElseGet(() -> "checkpoints: " + saver.folder().path()));
    }

    /** Whether the last checkpoint was not saved; after {@link #finish}. */
    boolean failed() {
        return saver != null && saver.failure().isPresent();
    }

    @Override
    public void close() {
        if (saver != null) {
            saver.close();
        }
    }
}
