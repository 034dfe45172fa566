package dev.muonium.optim;

/**
 * What the sweep over all gradients decided for a step.
 *
 * @param norm of all gradients together, after the gradient scale
 * @param clip what gradients were multiplied by so that the norm does not exceed the limit
 * @param nonFinite the number of the first gradient that cannot be used, for which the step was left out; -1 if it was taken
 * @param fallbacks matrices whose Gram iteration went wrong and was replaced
 */
record Decision(double norm, double clip, int nonFinite, int fallbacks) {
    Decision(double norm, double clip, int nonFinite) {
        this(norm, clip, nonFinite, 0);
    }
}
