package dev.muonium.optim;

import java.util.List;

/**
 * The optimizer state of one parameter. On a CPU, what {@link Optimizer#state} returns are views of the live memory, valid until the
 * parameter is removed or the optimizer closed; they change with every step. On a GPU they are copies in memory of the host, made by
 * the call and freed by the garbage collector; the ledger, which counts what the optimizer holds, does not count them.
 *
 * @param step the number of steps that were taken for this parameter
 * @param tensors its arrays
 */
public record ParameterState(long step, List<StateTensor> tensors) {
    /** Copies the list. */
    public ParameterState {
        if (step < 0) {
            throw new IllegalArgumentException(
                    "the step count of a parameter's state is " + step + "; it must not be negative");
        }
        tensors = List.copyOf(tensors);
    }

    /**
     * The array of a name.
     *
     * @throws IllegalArgumentException if there is none; the message lists those there are
     */
    public StateTensor tensor(String name) {
        for (StateTensor tensor : tensors) {
            if (tensor.name().equals(name)) {
                return tensor;
            }
        }
        throw new IllegalArgumentException("this state has no tensor '" + name + "'; it has "
                + tensors.stream().map(StateTensor::name).toList());
    }
}
