package dev.muonium.optim;

/** The ranges of settings, each with the sentence that a value outside of it gets. */
final class Ranges {
    private Ranges() {}

    static double requireLearningRate(String group, double value) {
        return requireNotNegative("the learning rate of group '" + group + "'", value);
    }

    static double requireWeightDecay(String group, double value) {
        return requireNotNegative("the weight decay of group '" + group + "'", value);
    }

    static double requireNotNegative(String what, double value) {
        if (!(value >= 0 && value <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(what + " is " + value + "; it must be finite and not negative");
        }
        return value;
    }

    /** Rates of decay such as β: from 0 to below 1. */
    static double requireDecayRate(String what, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new IllegalArgumentException(what + " is " + value + "; it must be at least 0 and below 1");
        }
        return value;
    }

    static double requirePositive(String what, double value) {
        if (!(value > 0 && value <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(what + " is " + value + "; it must be finite and positive");
        }
        return value;
    }

    /** FP32 kernels use it, some of them with denormal numbers off. */
    static double requireNormal(String what, double value) {
        if (!(value >= Float.MIN_NORMAL && value <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(what + " is " + value + "; it must be from " + Float.MIN_NORMAL + " to "
                    + Float.MAX_VALUE + ", the normal numbers of FP32");
        }
        return value;
    }

    /** A factor of FP32 arithmetic: {@code value} rounded, which must neither vanish nor overflow. */
    static float requireFactor(String what, double value) {
        float rounded = (float) value;
        if (!(rounded > 0 && rounded <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(what + " is " + value
                    + "; it must be finite and positive in FP32, in which gradients are multiplied");
        }
        return rounded;
    }

    static String requireName(String what, String value) {
        if (value.isBlank()) {
            throw new IllegalArgumentException(what + " is blank; it needs a name");
        }
        return value;
    }
}
