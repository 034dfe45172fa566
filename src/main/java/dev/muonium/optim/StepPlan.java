package dev.muonium.optim;

import java.util.List;

/**
 * How a step is taken for one set of parameters, with all that it needs; made anew when parameters are added, removed, frozen or
 * thawed. The two ways compute the same: {@link TaskStep} by tasks for the workers of a CPU, {@link BatchedStep} by launches over many
 * arrays for a GPU.
 */
sealed interface StepPlan extends AutoCloseable permits TaskStep, BatchedStep {
    /** torch's clip_grad_norm_ adds it to the norm that it divides by. */
    double CLIP_EPSILON = 1e-6;

    /** In the sentence about a scale that FP32 cannot hold. */
    String SCALE_AFTER_CLIPPING = "the gradient scale after clipping";

    List<Slot> slots();

    /** Where the weights of all slots lie. */
    WeightRanges weights();

    /** Whether it still fits its slots, which are the same and none of them frozen. */
    boolean isCurrent();

    /**
     * Takes the step, unless a gradient forbids it; all slots were prepared.
     *
     * @param clipNorm the largest norm of all gradients together
     * @throws IllegalArgumentException if nothing would be left in FP32 of the gradient scale after clipping; nothing was changed
     */
    Decision run(double gradientScale, double clipNorm, long seed);

    /** Bytes of its workspace. */
    long workspaceBytes();

    /** Nanoseconds that its steps so far waited for a GPU. */
    long waitedNanos();

    @Override
    void close();
}
