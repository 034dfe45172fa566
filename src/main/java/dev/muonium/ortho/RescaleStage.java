package dev.muonium.ortho;

/**
 * {@code X ← 2^k·X}, exactly. Brings inputs of extreme norms to where their Gram matrix neither overflows nor vanishes; the rest of the
 * normalization is in the first step's coefficients.
 */
interface RescaleStage extends Stage {
    void exponent(int value);
}
