package dev.muonium.cli.conform;

/**
 * One comparison with a recorded result.
 *
 * @param way how ours was computed, for example {@code fp32 plain}
 * @param quantity what was compared
 * @param error relative to the distance moved for weights, to the reference's norm for other tensors; a count for codes
 * @param tolerance the largest error that passes
 */
public record Check(String way, String quantity, double error, double tolerance) {
    /** Whether the error is within the tolerance; NaN is not. */
    public boolean passes() {
        return error <= tolerance;
    }
}
