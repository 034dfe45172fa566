package dev.muonium.ortho;

/** By which norm the input of Newton-Schulz is divided, so that its singular values are at most 1. */
public enum NormConvention {
    /** {@code X = U / (‖U‖ + ε)}, as in Keller Jordan's code. */
    ADD_EPSILON {
        @Override
        double divisor(double norm, double epsilon) {
            return norm + epsilon;
        }
    },
    /** {@code X = U / max(‖U‖, ε)}, as in {@code torch.optim.Muon}. */
    MAX_EPSILON {
        @Override
        double divisor(double norm, double epsilon) {
            return Math.max(norm, epsilon);
        }
    },
    /**
     * {@code X = U / max(√‖U·Uᵀ‖, ε)} with the Frobenius norm of the Gram matrix that the first step computes anyway: the Schatten norm
     * {@code (Σσ⁴)^(1/4)}, which is never above {@code ‖U‖} and never below σ_max, and mostly close to it, so that the steps begin with
     * larger singular values. Not on a GPU, which forms the first step's coefficients before there is a Gram matrix.
     */
    GRAM {
        @Override
        double divisor(double norm, double epsilon) {
            return Math.max(norm, epsilon);
        }
    };

    abstract double divisor(double norm, double epsilon);
}
