package dev.muonium.ortho;

/**
 * The odd polynomial of one Newton-Schulz step: {@code X ← a·X + (b·A + c·A²)·X} with {@code A = X·Xᵀ}, which sends every
 * singular value σ to {@code a·σ + b·σ³ + c·σ⁵}.
 *
 * @param a the coefficient of σ
 * @param b the coefficient of σ³
 * @param c the coefficient of σ⁵
 */
public record Coefficients(double a, double b, double c) {
    /** Checks that all three are finite. */
    public Coefficients {
        if (!Double.isFinite(a) || !Double.isFinite(b) || !Double.isFinite(c)) {
            throw new IllegalArgumentException(
                    "Newton-Schulz coefficients are (" + a + ", " + b + ", " + c + "); all three must be finite");
        }
    }

    /** The same polynomial of {@code s·σ}: {@code (a·s, b·s³, c·s⁵)}. */
    public Coefficients ofScaled(double s) {
        double s2 = s * s;
        return new Coefficients(a * s, b * s * s2, c * s * s2 * s2);
    }

    /** What a singular value becomes. */
    public double apply(double sigma) {
        double square = sigma * sigma;
        return sigma * (a + square * (b + square * c));
    }
}
