package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;

/**
 * A group of parameters that AdamW updates (torch.optim.AdamW's semantics), t counting the steps of each parameter from 1:
 *
 * <pre>
 *   w = w·(1 - lr·λ);  m = β₁·m + (1-β₁)·g;  v = β₂·v + (1-β₂)·g²
 *   w = w - lr/(1-β₁ᵗ) · m / (sqrt(v)/sqrt(1-β₂ᵗ) + ε)
 * </pre>
 *
 * With 8-bit state, m and v of the update are fresh and only what is stored is quantized, by dynamic maps. A positive v is never
 * stored as 0: an element with a small gradient would keep its m, and its next step without a gradient would be m/ε, as for
 * an embedding of a token that is absent from a batch. Immutable; the methods with an argument return a changed copy.
 *
 * @param name the group's name, {@code adamw} by default
 * @param learningRate lr, not negative
 * @param beta1 β₁, at least 0 and below 1
 * @param beta2 β₂, at least 0 and below 1
 * @param epsilon ε, a normal number of FP32: at least 1.18e-38
 * @param weightDecay λ, not negative
 * @param state how m and v are stored
 * @param block elements per scale of 8-bit state, a power of two from 64 to 2048
 */
public record AdamW(
        String name,
        double learningRate,
        double beta1,
        double beta2,
        double epsilon,
        double weightDecay,
        StateFormat state,
        int block)
        implements GroupSpec {

    /** Checks the ranges. */
    public AdamW {
        Ranges.requireName("the name of an AdamW group", name);
        Ranges.requireLearningRate(name, learningRate);
        Ranges.requireDecayRate("beta1 of group '" + name + "'", beta1);
        Ranges.requireDecayRate("beta2 of group '" + name + "'", beta2);
        Ranges.requireNormal("epsilon of group '" + name + "'", epsilon);
        Ranges.requireWeightDecay(name, weightDecay);
        BlockFormat.requireBlock(block);
    }

    /** lr 1e-3, β 0.9 and 0.999, ε 1e-8, λ 0.01 (torch's), FP32 state, blocks of 128. */
    public static AdamW defaults() {
        return new AdamW("adamw", 1e-3, 0.9, 0.999, 1e-8, 0.01, StateFormat.FP32, BlockFormat.DEFAULT_BLOCK);
    }

    /** A copy with another name. */
    public AdamW name(String value) {
        return new AdamW(value, learningRate, beta1, beta2, epsilon, weightDecay, state, block);
    }

    /** A copy with another learning rate. */
    public AdamW learningRate(double value) {
        return new AdamW(name, value, beta1, beta2, epsilon, weightDecay, state, block);
    }

    /** A copy with other rates of decay. */
    public AdamW betas(double newBeta1, double newBeta2) {
        return new AdamW(name, learningRate, newBeta1, newBeta2, epsilon, weightDecay, state, block);
    }

    /** A copy with another ε. */
    public AdamW epsilon(double value) {
        return new AdamW(name, learningRate, beta1, beta2, value, weightDecay, state, block);
    }

    /** A copy with another weight decay. */
    public AdamW weightDecay(double value) {
        return new AdamW(name, learningRate, beta1, beta2, epsilon, value, state, block);
    }

    /** A copy that stores its state otherwise. */
    public AdamW state(StateFormat value) {
        return new AdamW(name, learningRate, beta1, beta2, epsilon, weightDecay, value, block);
    }

    /** A copy with another block size. */
    public AdamW block(int value) {
        return new AdamW(name, learningRate, beta1, beta2, epsilon, weightDecay, state, value);
    }

    @Override
    public String optimizer() {
        return "adamw";
    }

    BlockFormat mFormat() {
        return state == StateFormat.FP32 ? BlockFormat.F32 : BlockFormat.INT8_DYNAMIC_SIGNED;
    }

    BlockFormat vFormat() {
        return state == StateFormat.FP32 ? BlockFormat.F32 : BlockFormat.INT8_DYNAMIC_UNSIGNED;
    }
}
