package dev.muonium.ortho;

import java.util.ArrayList;
import java.util.List;

/** The stages of the first step, whose coefficients take up the normalization of the input. */
final class FirstStep {
    private final NewtonSchulz spec;
    private final List<Normalized> stages = new ArrayList<>();

    FirstStep(NewtonSchulz spec) {
        this.spec = spec;
    }

    void add(Normalized stage) {
        stages.add(stage);
    }

    /**
     * Divides by the norm that the spec makes of U's.
     *
     * @param norm of U; 0 where U is zero, and so is the result, whatever the quotient of two tiny numbers is
     * @param shift X is U times 2 to the power of it
     */
    void normalize(double norm, int shift) {
        double factor = 0;
        if (norm > 0) {
            double divisor = spec.norm().divisor(norm * spec.schedule().normFactor(), spec.epsilon());
            factor = Math.scalb(1 / divisor, -shift);
        }
        for (Normalized stage : stages) {
            stage.factor(factor);
        }
    }
}
