package dev.muonium.optim;

/** What learning rates are multiplied by at each step. */
public sealed interface Schedule {
    /**
     * The factor for a step.
     *
     * @param step the step's number, from 0
     */
    double factor(long step);

    /** Always 1. */
    static Schedule constant() {
        return new Constant();
    }

    /**
     * Rises linearly over {@code warmup} steps, stays at 1, and falls over the last {@code warmdown} of {@code total} steps
     * linearly to {@code floor}.
     */
    static Schedule linear(long warmup, long warmdown, long total, double floor) {
        return new Trapezoid(warmup, warmdown, total, floor, false);
    }

    /** As {@link #linear}, falling along half a cosine. */
    static Schedule cosine(long warmup, long warmdown, long total, double floor) {
        return new Trapezoid(warmup, warmdown, total, floor, true);
    }

    /** Always 1. */
    record Constant() implements Schedule {
        @Override
        public double factor(long step) {
            return 1;
        }
    }

    /**
     * Warm-up, plateau, warm-down.
     *
     * @param warmup steps of linear rise: step i has the factor {@code (i+1)/warmup}
     * @param warmdown steps of the fall, after which the factor is {@code floor}; with 0 it stays at 1
     * @param total the number of steps of the whole run, at least {@code warmup + warmdown}
     * @param floor the factor at and after the end, from 0 to 1
     * @param cosine whether the fall is half a cosine rather than a line
     */
    record Trapezoid(long warmup, long warmdown, long total, double floor, boolean cosine) implements Schedule {
        /** Checks that the parts fit. */
        public Trapezoid {
            if (warmup < 0 || warmdown < 0 || total < 1 || warmup + warmdown > total) {
                throw new IllegalArgumentException(
                        "a schedule has " + warmup + " steps of warm-up and " + warmdown + " of warm-down in a run of "
                                + total + "; they must not be negative and must fit into the run");
            }
            if (!(floor >= 0 && floor <= 1)) {
                throw new IllegalArgumentException(
                        "a schedule ends at the factor " + floor + "; it must be from 0 to 1");
            }
        }

        @Override
        public double factor(long step) {
            if (step < warmup) {
                return (step + 1.0) / warmup;
            }
            if (warmdown == 0 || step < total - warmdown) {
                return 1;
            }
            double left = Math.max(0.0, (double) (total - step) / warmdown);
            double height = cosine ? 0.5 - 0.5 * Math.cos(Math.PI * left) : left;
            return floor + (1 - floor) * height;
        }
    }
}
