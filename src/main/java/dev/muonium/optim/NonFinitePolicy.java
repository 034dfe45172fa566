package dev.muonium.optim;

/** What a step does when a gradient holds NaN or an infinity. It is found out before anything is changed. */
public enum NonFinitePolicy {
    /** The whole step is left out: weights, state and step counts stay as they were, and the report says so. */
    SKIP,
    /** As {@link #SKIP}, and a {@link dev.muonium.NonFiniteGradientException} is thrown. */
    THROW
}
