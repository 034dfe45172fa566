package dev.muonium.checkpoint;

import dev.muonium.optim.Optimizer;
import java.util.List;
import java.util.Map;

/**
 * Something whose state belongs into a checkpoint: weights, an optimizer, projections. It is asked and restored between steps, on the thread
 * that trains.
 */
public interface StateSource {
    /** What an optimizer keeps. */
    static StateSource of(Optimizer optimizer) {
        return new OptimizerSource(optimizer);
    }

    /** The part of a checkpoint that it belongs to; several sources may share one if the names of their tensors differ. */
    String part();

    /** Its tensors where they lie; whoever saves them copies them, once. */
    List<LiveTensor> tensors();

    /** Strings for the file's metadata. */
    Map<String, String> metadata();

    /**
     * Checks that a file holds a state that {@link #restore} takes; changes nothing.
     *
     * @throws CheckpointException or IllegalArgumentException if not; the message names the tensor, what it is there, and what is needed
     */
    void check(Safetensors file);

    /** Copies the state from a file that was checked. */
    void restore(Safetensors file);
}
