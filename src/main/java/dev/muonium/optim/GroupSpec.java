package dev.muonium.optim;

/** The settings of a parameter group as an {@link Optimizer} is built: {@link Muon} or {@link AdamW}. Immutable. */
public sealed interface GroupSpec permits Muon, AdamW {
    /** What parameters and {@link Optimizer#group} name the group by; unique within an optimizer. */
    String name();

    /** The learning rate before schedule, multiplier and adjustment. */
    double learningRate();

    /** The decoupled weight decay λ: weights are multiplied by {@code 1 - lr·λ} before the update. */
    double weightDecay();

    /** How state is stored. */
    StateFormat state();

    /** Elements per block of 8-bit state. */
    int block();

    /** The optimizer's name in reports: {@code muon} or {@code adamw}. */
    String optimizer();
}
