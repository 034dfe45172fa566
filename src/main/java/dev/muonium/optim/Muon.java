package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import org.jspecify.annotations.Nullable;

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
 * @param newtonSchulz how O is computed, or null to choose per device: see {@link #newtonSchulzOn}
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
        @Nullable NewtonSchulz newtonSchulz,
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

    /** lr 0.02, β 0.95, Nesterov, λ 0.1, adjustment {@code original}, Newton-Schulz {@link #newtonSchulzOn chosen per device}, FP32 state, blocks of 128. */
    public static Muon defaults() {
        return new Muon(
                "muon",
                0.02,
                0.95,
                true,
                0.1,
                LearningRateAdjustment.ORIGINAL,
                null,
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

    /** A copy with another Newton-Schulz iteration, or one that is chosen per device (null). */
    public Muon newtonSchulz(@Nullable NewtonSchulz value) {
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

    /**
     * How O is computed on a device. Where it was left open, {@link NewtonSchulz#fourSteps} on a CPU, which looks at each result and computes one that
     * went wrong again; on a GPU, where nobody looks, {@link NewtonSchulz#defaults}: its polynomials begin with smaller singular values, which
     * rounding does not blow up.
     *
     * @throws IllegalArgumentException if an iteration was asked for that normalizes by the Gram matrix, and the device is a GPU
     */
    public NewtonSchulz newtonSchulzOn(Device device) {
        return newtonSchulz(device.memory().isHost());
    }

    /** The same where matrices are worked on one by one and results looked at (true), or many at a time and not. */
    NewtonSchulz newtonSchulz(boolean lookedAt) {
        if (newtonSchulz == null) {
            return lookedAt ? NewtonSchulz.fourSteps() : NewtonSchulz.defaults();
        }
        if (!lookedAt && newtonSchulz.norm() == NormConvention.GRAM) {
            throw new IllegalArgumentException(
                    "group '" + name + "' asks for Newton-Schulz with the norm of the Gram matrix ("
                            + newtonSchulz.schedule().name()
                            + "), which is for a CPU: a GPU does not look at the results, and one that went wrong"
                            + " would spoil the weights; ask for NormConvention.ADD_EPSILON, or leave Newton-Schulz"
                            + " open, which takes what suits the device");
        }
        return newtonSchulz;
    }

    BlockFormat momentumFormat() {
        return switch (state) {
            case FP32 -> BlockFormat.F32;
            case INT8 -> BlockFormat.INT8_LINEAR;
            case INT8_DYNAMIC -> BlockFormat.INT8_DYNAMIC_SIGNED;
        };
    }
}
