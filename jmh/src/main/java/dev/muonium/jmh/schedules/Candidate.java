package dev.muonium.jmh.schedules;

import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.Coefficients;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import java.util.List;

/**
 * An iteration to look at.
 *
 * @param schedule its polynomials
 * @param norm what its input is divided by
 * @param equilibrated whether the rows of the shorter side are first scaled by {@code 1/√(Σ|Gram row|)} (AOL, arXiv 2512.04632), which
 *     the library does not do: its exact figures only
 */
record Candidate(CoefficientSchedule schedule, NormConvention norm, boolean equilibrated) {
    private static final NormConvention FROBENIUS = NormConvention.ADD_EPSILON;

    /** Keller's five steps, and what might take their place. */
    static List<Candidate> all() {
        return List.of(
                frobenius(CoefficientSchedule.keller(5)),
                frobenius(CoefficientSchedule.keller(4)),
                frobenius(CoefficientSchedule.you()),
                frobenius(CoefficientSchedule.cans()),
                frobenius(CoefficientSchedule.polarExpress(5)),
                frobenius(CoefficientSchedule.polarExpress(4)),
                frobenius(CoefficientSchedule.polarExpress(3)),
                frobenius(CoefficientSchedule.minimax(4, 0.002)),
                gram(CoefficientSchedule.fourSteps()),
                gram(CoefficientSchedule.minimax(0.0014, 1.01, 5, 5, 5, 9)),
                gram(CoefficientSchedule.minimax(0.0014, 1.01, 5, 5, 5, 7)),
                gram(CoefficientSchedule.keller(4)),
                gram(CoefficientSchedule.polarExpress(4)),
                gram(CoefficientSchedule.minimax(5, 0.001)),
                gram(CoefficientSchedule.minimax(4, 0.0015)),
                gram(CoefficientSchedule.minimax(4, 0.002)),
                gram(CoefficientSchedule.minimax(4, 0.003)),
                gram(CoefficientSchedule.minimax(3, 0.01)),
                gram(CoefficientSchedule.minimax(3, 0.005)),
                new Candidate(CoefficientSchedule.keller(4), NormConvention.GRAM, true),
                new Candidate(CoefficientSchedule.minimax(4, 0.003), NormConvention.GRAM, true),
                new Candidate(CoefficientSchedule.minimax(3, 0.01), NormConvention.GRAM, true));
    }

    private static Candidate frobenius(CoefficientSchedule schedule) {
        return new Candidate(schedule, FROBENIUS, false);
    }

    private static Candidate gram(CoefficientSchedule schedule) {
        return new Candidate(schedule, NormConvention.GRAM, false);
    }

    /** The iteration as the library runs it. */
    NewtonSchulz spec() {
        return NewtonSchulz.defaults().schedule(schedule).norm(norm);
    }

    String name() {
        return (equilibrated ? "AOL, " : "") + schedule.name() + ", "
                + schedule.steps().size() + " steps, " + (norm == FROBENIUS ? "Frobenius" : "Gram");
    }

    /** What singular values become, without any rounding. */
    double[] apply(double[] sigma) {
        double power = norm == FROBENIUS ? 2 : 4;
        double sum = 0;
        for (double value : sigma) {
            sum += Math.pow(value / sigma[0], power);
        }
        double norm = sigma[0] * Math.pow(sum, 1 / power) * schedule.normFactor();
        double[] result = new double[sigma.length];
        for (int i = 0; i < sigma.length; i++) {
            result[i] = sigma[i] / norm;
            for (Coefficients step : schedule.steps()) {
                result[i] = step.apply(result[i]);
            }
        }
        return result;
    }

    /**
     * Matrix products in n³ for {@code n × ratio·n}, symmetric ones at half: the lesser of the symmetric way and of the Gram iteration
     * with a restart after every two steps.
     */
    double work(double ratio) {
        int steps = schedule.steps().size();
        long higher =
                schedule.steps().stream().filter(step -> !step.isQuintic()).count();
        double symmetric = steps * (3 * ratio + 1) + higher;
        double gram = higher;
        for (int left = steps; left > 0; left -= 2) {
            gram += 3 * ratio + (left == 1 ? 1 : 5);
        }
        return Math.min(symmetric, gram);
    }
}
