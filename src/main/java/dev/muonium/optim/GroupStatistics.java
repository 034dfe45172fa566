package dev.muonium.optim;

import java.util.List;

/**
 * Statistics of a step over the N elements of a group's parameters that are not frozen; sums are in double.
 *
 * @param group the group's name
 * @param optimizer {@code muon} or {@code adamw}
 * @param parameters the number of its parameters that are not frozen
 * @param elements N, the number of their elements
 * @param gradientNorm {@code s·√(Σ g²)}, with the gradient scale s and before clipping; the squares of all groups add up to that of {@link StepReport#gradientNorm}
 * @param updateRms {@code √(Σ (w' - w)² / N)} of the weights before and after the step: with weight decay and rounding. Of BF16 weights with a copy in FP32 it is the copy's
 * @param weightRms {@code √(Σ w'² / N)} of the same weights after the step
 * @param state the arrays of its state by name: {@code momentum_buffer}, or {@code exp_avg} and {@code exp_avg_sq}
 */
public record GroupStatistics(
        String group,
        String optimizer,
        int parameters,
        long elements,
        double gradientNorm,
        double updateRms,
        double weightRms,
        List<StateStatistics> state) {
    /** Copies the list. */
    public GroupStatistics {
        state = List.copyOf(state);
    }

    /**
     * The statistics of an array of state.
     *
     * @throws IllegalArgumentException if the group has none of that name
     */
    public StateStatistics state(String name) {
        for (StateStatistics each : state) {
            if (each.name().equals(name)) {
                return each;
            }
        }
        throw new IllegalArgumentException("group '" + group + "' has no state '" + name + "'; it has "
                + state.stream().map(StateStatistics::name).toList());
    }
}
