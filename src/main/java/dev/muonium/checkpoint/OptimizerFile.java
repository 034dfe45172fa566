package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.optim.Optimizer;
import java.nio.file.Path;

/**
 * The state of one optimizer in one safetensors file, for apps that keep weights and everything else in files of their own; {@link TrainingState} and
 * {@link CheckpointSaver} make whole checkpoints. Keyed by the names of the parameters: {@code <parameter>.momentum_buffer}, or
 * {@code .exp_avg} and {@code .exp_avg_sq}, {@code .master_weights}, their {@code .scales}, and {@code .step}.
 */
public final class OptimizerFile {
    private OptimizerFile() {}

    /**
     * Writes the state, as a whole or not at all. State of a GPU is copied to the host for it.
     *
     * @throws SafetensorsException if the file cannot be written; what was there before is untouched
     */
    public static void write(Path file, Device device, Optimizer optimizer) {
        for (CheckpointPart part :
                new TrainingState(device).optimizer(optimizer).parts()) {
            if (part.name().equals(CheckpointPart.OPTIMIZER)) {
                SafetensorsWriter.write(file, part.metadata(), part.tensors());
            }
        }
    }

    /** The key under which a parameter's count of steps stands in a file, which every parameter has. */
    public static String stepKey(String parameter) {
        return parameter + OptimizerSource.STEP;
    }

    /**
     * Restores the state, so that the next step has the bits that it would have had without a break.
     *
     * @throws CheckpointException or IllegalArgumentException if the file is of other parameters, formats or sizes; nothing was changed
     */
    public static void restore(Safetensors file, Optimizer optimizer) {
        OptimizerSource source = new OptimizerSource(optimizer);
        source.check(file);
        source.restore(file);
    }
}
