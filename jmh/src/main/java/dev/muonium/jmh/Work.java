package dev.muonium.jmh;

import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.Way;

/**
 * What one invocation of a benchmark does; 0 where a rate would say nothing.
 *
 * @param parameters elements worked on
 * @param bytes of memory that are read and that are written, each once
 * @param flops floating-point operations
 * @param stateBytes of memory that an optimizer keeps from step to step
 */
record Work(long parameters, double bytes, double flops, long stateBytes) {
    static final Work NONE = new Work(0, 0, 0);

    Work(long parameters, double bytes, double flops) {
        this(parameters, bytes, flops, 0);
    }

    /**
     * Floating-point operations of the plain Newton-Schulz iteration: per step {@code X·Xᵀ} and {@code P·X} of 2n²m each and
     * {@code A²} of 2n³, where n is the shorter side and m the longer.
     */
    static double plainNewtonSchulzFlops(int steps, long rows, long cols) {
        double n = Math.min(rows, cols);
        double m = Math.max(rows, cols);
        return steps * (4 * n * n * m + 2 * n * n * n);
    }

    /**
     * Those of a way. Polynomials of a degree above 5 have one product of n × n more. A product that is known to be symmetric counts half; sums of matrices, which are of lower order, do not count.
     *
     * @throws IllegalArgumentException for a way that this does not know
     */
    static double newtonSchulzFlops(Way way, CoefficientSchedule schedule, long rows, long cols) {
        int steps = schedule.steps().size();
        long higher =
                schedule.steps().stream().filter(step -> !step.isQuintic()).count();
        double n = Math.min(rows, cols);
        double m = Math.max(rows, cols);
        double gram = n * n * m;
        double square = n * n * n;
        double apply = 2 * n * n * m;
        return switch (way) {
            case Way.Plain plain -> plainNewtonSchulzFlops(steps, rows, cols) + 2 * higher * square;
            case Way.Symmetric symmetric -> steps * (gram + square + apply) + higher * square;
            case Way.Gram restarted -> {
                int segments = 1 + Math.ceilDiv(Math.max(0, steps - restarted.first()), restarted.then());
                // Within a segment every step has its square; all but one also multiply Q, and R from both sides.
                yield segments * (gram + apply) + square * (steps + higher + 3 * (steps - segments));
            }
        };
    }
}
