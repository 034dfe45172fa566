package dev.muonium.optim;

import org.jspecify.annotations.Nullable;

/**
 * What a step did.
 *
 * @param step the number of steps taken so far, this one included if it was taken
 * @param taken false when the step was left out because of a gradient that is not finite
 * @param gradientNorm the norm of all gradients together, after the gradient scale and before clipping; not finite when the step
 *     was left out
 * @param clipFactor what gradients were multiplied by so that the norm does not exceed the limit; 1 when nothing was clipped
 * @param nonFiniteParameter the first parameter whose gradient is not finite, or null
 * @param fallbacks matrices whose orthogonalization by the Gram matrix went wrong and was done again from the matrix itself; see {@link
 *     dev.muonium.ortho.Iteration#isWrong}
 */
public record StepReport(
        long step,
        boolean taken,
        double gradientNorm,
        double clipFactor,
        @Nullable String nonFiniteParameter,
        int fallbacks) {}
