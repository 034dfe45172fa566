package dev.muonium.ortho;

/**
 * The odd polynomial of one Newton-Schulz step: {@code X ← (a·I + b·A + c·A² + d·A³ + e·A⁴)·X} with {@code A = X·Xᵀ}, which sends
 * every singular value σ to {@code a·σ + b·σ³ + c·σ⁵ + d·σ⁷ + e·σ⁹}. Degree 5 takes the square of A; degrees 7 and 9 take one
 * product of n × n more, for with {@code S = A²} the polynomial is {@code a·I + b·A + S·(c·I + d·A + e·S)}.
 *
 * @param a the coefficient of σ
 * @param b the coefficient of σ³
 * @param c the coefficient of σ⁵
 * @param d the coefficient of σ⁷
 * @param e the coefficient of σ⁹
 */
public record Coefficients(double a, double b, double c, double d, double e) {
    /** Checks that all are finite. */
    public Coefficients {
        if (!Double.isFinite(a + b + c + d + e)) {
            throw new IllegalArgumentException("Newton-Schulz coefficients are (" + a + ", " + b + ", " + c + ", " + d
                    + ", " + e + "); all must be finite");
        }
    }

    /** Of degree 5. */
    public Coefficients(double a, double b, double c) {
        this(a, b, c, 0, 0);
    }

    /** Whether the degree is 5 or less. */
    public boolean isQuintic() {
        return d == 0 && e == 0;
    }

    /** The same polynomial of {@code s·σ}: {@code (a·s, b·s³, c·s⁵, d·s⁷, e·s⁹)}. */
    public Coefficients ofScaled(double s) {
        double s2 = s * s;
        double s3 = s * s2;
        double s5 = s3 * s2;
        double s7 = s5 * s2;
        return new Coefficients(a * s, b * s3, c * s5, d * s7, e * s7 * s2);
    }

    /** What a singular value becomes. */
    public double apply(double sigma) {
        double square = sigma * sigma;
        return sigma * (a + square * (b + square * (c + square * (d + square * e))));
    }
}
