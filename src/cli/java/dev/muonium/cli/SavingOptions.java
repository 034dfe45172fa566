package dev.muonium.cli;

import dev.muonium.checkpoint.CheckpointException;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.device.Device;
import dev.muonium.nano.Preset;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where checkpoints go, and whether to go on with the last one. */
final class SavingOptions {
    @Option(
            names = "--save",
            paramLabel = "DIR",
            description = "Save checkpoints to this folder: at the end, and every checkpoint_every steps; the last"
                    + " keep_last_checkpoints are kept.")
    private @Nullable Path folder;

    @Option(names = "--resume", description = "Go on with the newest valid checkpoint of the folder that --save names.")
    private boolean resume;

    /**
     * Opens the folder, if there is one.
     *
     * @throws UserMistake if it cannot be used, or holds checkpoints that are not to be gone on with
     */
    SavedRun open(Device device, Preset preset) {
        if (folder == null) {
            if (resume) {
                throw new UserMistake("--resume needs the folder of the checkpoints: --save DIR --resume");
            }
            return new SavedRun(null, false);
        }
        try {
            CheckpointFolder opened =
                    CheckpointFolder.open(folder, preset.training().saving().keepLast());
            if (!resume && !CheckpointFolder.list(folder).isEmpty()) {
                opened.close();
                throw new UserMistake("there are checkpoints in '" + folder
                        + "' already; go on with them by --resume, or name another folder");
            }
            boolean inBackground = preset.training().saving().inBackground();
            return new SavedRun(new CheckpointSaver(device, opened, inBackground), resume);
        } catch (CheckpointException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }
}
