package dev.muonium.ortho;

/**
 * A way of evaluating a Newton-Schulz iteration on a matrix of {@code n × m} with {@code n ≤ m} (the other orientation is evaluated
 * from the other side). All of them compute the same polynomials; they differ in work and in rounding. Work below is in units of
 * {@code n³} floating-point operations for five steps, at {@code m/n} = 1 and 4.
 */
public sealed interface Way {
    /** {@code A = X·Xᵀ; X ← (a·I + b·A + c·A²)·X}. Work 30 and 90. */
    record Plain() implements Way {
        @Override
        public String toString() {
            return "plain";
        }
    }

    /** As {@link Plain}, with only the upper tiles of the symmetric A and A² computed. Work about 20 and 65. */
    record Symmetric() implements Way {
        @Override
        public String toString() {
            return "symmetric";
        }
    }

    /**
     * Iterates on the small Gram matrix {@code R = X·Xᵀ} and gathers the polynomials in Q, which is applied to X once:
     * {@code Z = a·I + b·R + c·R²; Q ← Q·Z; R ← Z·R·Z}, and {@code X ← Q·X; R = X·Xᵀ; Q = I} at a restart, because rounding makes
     * small eigenvalues of R negative, which the polynomials then blow up. All factors are polynomials of one symmetric matrix, so
     * every product is symmetric and only its upper tiles are computed. Work about 20 and 47 with a restart after every two
     * steps, 20 and 38 after every three.
     *
     * @param first the number of steps before the first restart, at least 1
     * @param then the number of steps between later restarts, at least 1
     */
    record Gram(int first, int then) implements Way {
        /** Checks the restarts. */
        public Gram {
            if (first < 1 || then < 1) {
                throw new IllegalArgumentException("a Gram iteration restarts after " + Math.min(first, then)
                        + " steps; it must be at least 1 (without restarts it is not stable in half precision)");
            }
        }

        @Override
        public String toString() {
            return first == then ? "gram/" + then : "gram/" + first + "+" + then;
        }
    }

    /** {@link Plain}. */
    static Way plain() {
        return new Plain();
    }

    /** {@link Symmetric}. */
    static Way symmetric() {
        return new Symmetric();
    }

    /** {@link Gram} with a restart after every two steps. */
    static Way gram() {
        return new Gram(2, 2);
    }

    /** {@link Gram} with a restart after every so many steps. */
    static Way gram(int restartAfter) {
        return new Gram(restartAfter, restartAfter);
    }

    /** {@link Gram}. */
    static Way gram(int first, int then) {
        return new Gram(first, then);
    }
}
