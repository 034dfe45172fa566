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

    static String requireName(String what, String value) {
        if (value.isBlank()) {
            throw new IllegalArgumentException(what + " is blank; it needs a name");
        }
        return value;
    }
}
