package dev.muonium;

/**
 * A gradient holds NaN or an infinity and the optimizer's policy is to throw. Weights and state are as they were before
 * the step.
 */
public final class NonFiniteGradientException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    private final String parameter;

    /** @param parameter the name of the first parameter whose gradient is not finite */
    public NonFiniteGradientException(String parameter) {
        super("the gradient of parameter '" + parameter
                + "' holds NaN or an infinity; the step was not taken and nothing"
                + " was changed (lower the learning rate or the loss scale, or let the optimizer skip such steps)");
        this.parameter = parameter;
    }

    /** The name of the first parameter whose gradient is not finite. */
    public String parameter() {
        return parameter;
    }
}
