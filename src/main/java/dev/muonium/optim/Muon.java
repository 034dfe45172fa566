package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.ortho.NewtonSchulz;

/**
 * A group of matrices that Muon updates (torch.optim.Muon's semantics):
 *
 * <pre>
 *   m = β·m + (1-β)·g;  u = nesterov ? (1-β)·g + β·m : m;  O = NewtonSchulz(u)
 *   w = w·(1 - lr·λ) - lr·adjustment(rows, cols)·O
 * </pre>
 *
 * With 8-bit state, u comes from the fresh FP32 m and only the stored m is quantized. Immutable; the methods with an argument
 * return a changed copy.
 *
 * @param name the group's name, {@code muon} by default
 * @param learningRate lr, not negative
 * @param momentum β, at least 0 and below 1
 * @param nesterov whether u looks one step ahead
 * @param weightDecay λ, not negative
 * @param adjustment what lr is multiplied by for a shape
 * @param newtonSchulz how O is computed
 * @param state how m is stored
 * @param block elements per scale of 8-bit state, a power of two from 64 to 2048
 */
public record Muon(
        String name,
        double learningRate,
        double momentum,
        boolean nesterov,
        double weightDecay,
        LearningRateAdjustment adjustment,
        NewtonSchulz newtonSchulz,
        StateFormat state,
        int block)
        implements GroupSpec {

    /** Checks the ranges. */
    public Muon {
        Ranges.requireName("the name of a Muon group", name);
        Ranges.requireLearningRate(name, learningRate);
        Ranges.requireDecayRate("the momentum of group '" + name + "'", momentum);
        Ranges.requireWeightDecay(name, weightDecay);
        BlockFormat.requireBlock(block);
    }

    /** lr 0.02, β 0.95, Nesterov, λ 0.1, adjustment {@code original}, {@link NewtonSchulz#fourSteps four steps}, FP32 state, blocks of 128. */
    public static Muon defaults() {
        return new Muon(
                "muon",
                0.02,
                0.95,
                true,
                0.1,
                LearningRateAdjustment.ORIGINAL,
                NewtonSchulz.fourSteps(),
                StateFormat.FP32,
                BlockFormat.DEFAULT_BLOCK);
    }

    /** A copy with another name. */
    public Muon name(String value) {
        return new Muon(value, learningRate, momentum, nesterov, weightDecay, adjustment, newtonSchulz, state, block);
    }

    /** A copy with another learning rate. */
    public Muon learningRate(double value) {
        return new Muon(name, value, momentum, nesterov, weightDecay, adjustment, newtonSchulz, state, block);
    }

    /** A copy with another β. */
    public Muon momentum(double value) {
        return new Muon(name, learningRate, value, nesterov, weightDecay, adjustment, newtonSchulz, state, block);
    }

    /** A copy with or without Nesterov momentum. */
    public Muon nesterov(boolean value) {
        return new Muon(name, learningRate, momentum, value, weightDecay, adjustment, newtonSchulz, state, block);
    }

    /** A copy with another weight decay. */
    public Muon weightDecay(double value) {
        return new Muon(name, learningRate, momentum, nesterov, value, adjustment, newtonSchulz, state, block);
    }

    /** A copy with another adjustment of the learning rate. */
    public Muon adjustment(LearningRateAdjustment value) {
        return new Muon(name, learningRate, momentum, nesterov, weightDecay, value, newtonSchulz, state, block);
    }

    /** A copy with another Newton-Schulz iteration. */
    public Muon newtonSchulz(NewtonSchulz value) {
        return new Muon(name, learningRate, momentum, nesterov, weightDecay, adjustment, value, state, block);
    }

    /** A copy that stores its state otherwise. */
    public Muon state(StateFormat value) {
        return new Muon(name, learningRate, momentum, nesterov, weightDecay, adjustment, newtonSchulz, value, block);
    }

    /** A copy with another block size. */
    public Muon block(int value) {
        return new Muon(name, learningRate, momentum, nesterov, weightDecay, adjustment, newtonSchulz, state, value);
    }

    @Override
    public String optimizer() {
        return "muon";
    }

    BlockFormat momentumFormat() {
        return switch (state) {
            case FP32 -> BlockFormat.F32;
            case INT8 -> BlockFormat.INT8_LINEAR;
            case INT8_DYNAMIC -> BlockFormat.INT8_DYNAMIC_SIGNED;
        };
    }
}
