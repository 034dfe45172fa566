package dev.muonium.ortho;

/**
 * A stage of the first step, whose coefficients take the normalization of the input: X stays as it is and the polynomial is
 * that of {@code s·σ}.
 */
interface Normalized {
    void factor(double s);
}
