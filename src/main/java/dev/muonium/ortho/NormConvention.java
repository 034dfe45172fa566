package dev.muonium.ortho;

/** How the input of Newton-Schulz is brought to a Frobenius norm of at most 1. */
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
    };

    abstract double divisor(double norm, double epsilon);
}
