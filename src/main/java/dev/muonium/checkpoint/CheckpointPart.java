package dev.muonium.checkpoint;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What goes into one safetensors file of a checkpoint.
 *
 * @param name the file's name without {@code .safetensors}: letters, digits, '-' and '_'
 * @param metadata strings for the file's {@code __metadata__}
 * @param tensors under names that differ; their data must not change while it is saved
 */
public record CheckpointPart(String name, Map<String, String> metadata, List<StoredTensor> tensors) {
    /** Weights, under the names of the parameters. */
    public static final String MODEL = "model";

    /** What optimizers keep. */
    public static final String OPTIMIZER = "optimizer";

    /** Checks the names. */
    public CheckpointPart {
        metadata = Map.copyOf(metadata);
        tensors = List.copyOf(tensors);
        if (!name.matches("[A-Za-z0-9_-]{1,64}")) {
            throw new IllegalArgumentException("a part of a checkpoint is called '" + name
                    + "'; it must be of 1 to 64 letters, digits, '-' and '_'");
        }
        Set<String> names = new HashSet<>();
        for (StoredTensor tensor : tensors) {
            if (!names.add(tensor.name())) {
                throw new IllegalArgumentException(
                        "two tensors of the checkpoint's part '" + name + "' are called '" + tensor.name() + "'");
            }
        }
    }
}
