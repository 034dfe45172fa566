package dev.muonium.optim;

/**
 * The settings of a group that may change from step to step. Changes take effect with the next step and rebuild nothing. Not
 * thread-safe: change them between steps, on the thread that steps.
 */
public final class ParameterGroup {
    private final GroupSpec spec;
    private double learningRate;
    private double weightDecay;
    private double momentum;

    ParameterGroup(GroupSpec spec) {
        this.spec = spec;
        this.learningRate = spec.learningRate();
        this.weightDecay = spec.weightDecay();
        this.momentum = spec instanceof Muon muon ? muon.momentum() : 0;
    }

    /** The group's name. */
    public String name() {
        return spec.name();
    }

    /** The settings that the group was built with; those that were changed since are in this class's getters. */
    public GroupSpec spec() {
        return spec;
    }

    /** The learning rate before schedule, multiplier and adjustment. */
    public double learningRate() {
        return learningRate;
    }

    /** Sets the learning rate; not negative. */
    public ParameterGroup learningRate(double value) {
        learningRate = Ranges.requireLearningRate(name(), value);
        return this;
    }

    /** The decoupled weight decay. */
    public double weightDecay() {
        return weightDecay;
    }

    /** Sets the weight decay; not negative. */
    public ParameterGroup weightDecay(double value) {
        weightDecay = Ranges.requireWeightDecay(name(), value);
        return this;
    }

    /**
     * Muon's β.
     *
     * @throws IllegalStateException if this is not a Muon group
     */
    public double momentum() {
        requireMuon();
        return momentum;
    }

    /**
     * Sets Muon's β, for example while it is warmed up; at least 0 and below 1.
     *
     * @throws IllegalStateException if this is not a Muon group
     */
    public ParameterGroup momentum(double value) {
        requireMuon();
        momentum = Ranges.requireDecayRate("the momentum of group '" + name() + "'", value);
        return this;
    }

    private void requireMuon() {
        if (!(spec instanceof Muon)) {
            throw new IllegalStateException(
                    "group '" + name() + "' is a group of " + spec.optimizer() + ", which has no momentum to set");
        }
    }

    /** For example {@code muon (muon, lr 0.02)}. */
    @Override
    public String toString() {
        return name() + " (" + spec.optimizer() + ", lr " + learningRate + ")";
    }
}
