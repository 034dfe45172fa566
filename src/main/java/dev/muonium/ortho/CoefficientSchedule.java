package dev.muonium.ortho;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;

/**
 * The polynomials that a Newton-Schulz iteration applies, one per step.
 *
 * @param name for reports
 * @param steps the polynomials in order; at least one
 * @param normFactor the Frobenius norm is multiplied by it before the input is divided by the norm, as a margin for rounding
 */
public record CoefficientSchedule(String name, List<Coefficients> steps, double normFactor) {
    private static final int MAX_STEPS = 64;

    /** An interval around 1 as narrow as this is left to the limit, whose error is the cube of the distance. */
    private static final double CONVERGED = 1e-4;

    private static final Coefficients KELLER = new Coefficients(3.4445, -4.7750, 2.0315);

    private static final List<Coefficients> YOU = List.of(
            new Coefficients(4.0848, -6.8946, 2.9270),
            new Coefficients(3.9505, -6.3029, 2.6377),
            new Coefficients(3.7418, -5.5913, 2.3037),
            new Coefficients(2.8769, -3.1427, 1.2046),
            new Coefficients(2.8366, -3.0525, 1.2012));

    /** Before the safety factor; the last is the limit, which the iteration repeats without one. */
    private static final List<Coefficients> POLAR_EXPRESS = List.of(
            new Coefficients(8.28721201814563, -23.595886519098837, 17.300387312530933),
            new Coefficients(4.107059111542203, -2.9478499167379106, 0.5448431082926601),
            new Coefficients(3.9486908534822946, -2.908902115962949, 0.5518191394370137),
            new Coefficients(3.3184196573706015, -2.488488024314874, 0.51004894012372),
            new Coefficients(2.300652019954817, -1.6689039845747493, 0.4188073119525673),
            new Coefficients(1.891301407787398, -1.2679958271945868, 0.37680408948524835),
            new Coefficients(1.8750014808534479, -1.2500016453999487, 0.3750001645474248));

    private static final Coefficients POLAR_EXPRESS_LIMIT = new Coefficients(1.875, -1.25, 0.375);

    private static final List<Coefficients> NANOCHAT = List.of(
            new Coefficients(8.156554524902461, -22.48329292557795, 15.878769915207462),
            new Coefficients(4.042929935166739, -2.808917465908714, 0.5000178451051316),
            new Coefficients(3.8916678022926607, -2.772484153217685, 0.5060648178503393),
            new Coefficients(3.285753657755655, -2.3681294933425376, 0.46449024233003106),
            new Coefficients(2.3465413258596377, -1.7097828382687081, 0.42323551169305323));

    private static final List<Coefficients> CANS = List.of(
            new Coefficients(8.4703, -25.1081, 18.6293),
            new Coefficients(4.1828, -3.1087, 0.5806),
            new Coefficients(3.9619, -2.9541, 0.5630),
            new Coefficients(3.2866, -2.4647, 0.5074),
            new Coefficients(2.2737, -1.6447, 0.4162));

    /** Checks the number of steps and the factor, and copies the list. */
    public CoefficientSchedule {
        steps = List.copyOf(steps);
        if (steps.isEmpty() || steps.size() > MAX_STEPS) {
            throw new IllegalArgumentException("schedule '" + name + "' has " + steps.size()
                    + " Newton-Schulz steps; it must have from 1 to " + MAX_STEPS);
        }
        if (!(normFactor >= 1 && normFactor <= 2)) {
            throw new IllegalArgumentException(
                    "schedule '" + name + "' has the norm factor " + normFactor + "; it must be from 1 to 2");
        }
    }

    /** Keller Jordan's five steps of one polynomial, torch's default: singular values end between 0.68 and 1.13. */
    public static CoefficientSchedule keller() {
        return keller(5);
    }

    /** Keller Jordan's polynomial, any number of times. */
    public static CoefficientSchedule keller(int steps) {
        List<Coefficients> list = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            list.add(KELLER);
        }
        return new CoefficientSchedule("keller", list, 1);
    }

    /** Jiacheng You's five polynomials, which end nearer to 1. */
    public static CoefficientSchedule you() {
        return new CoefficientSchedule("you", YOU, 1);
    }

    /** Polar Express with the paper's safety factor, 1.01. */
    public static CoefficientSchedule polarExpress(int steps) {
        return polarExpress(steps, 1.01);
    }

    /**
     * Polar Express (arXiv 2505.16932): each polynomial is the best for the interval that the ones before it leave. Any number of
     * steps; from the eighth on they are the limit (1.875, -1.25, 0.375).
     *
     * @param safety σ is divided by it in the first seven polynomials, so that rounding cannot push it beyond their interval: 1.01
     *     in the paper, 1.05 for half-precision Gram iterations
     */
    public static CoefficientSchedule polarExpress(int steps, double safety) {
        requireSafety("Polar Express", safety);
        List<Coefficients> list = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            list.add(i < POLAR_EXPRESS.size() ? POLAR_EXPRESS.get(i).ofScaled(1 / safety) : POLAR_EXPRESS_LIMIT);
        }
        return new CoefficientSchedule("polar-express/" + safety, list, 1);
    }

    /** The five polynomials of nanochat: Polar Express with the safety factor in the numbers, and a norm factor of 1.01. */
    public static CoefficientSchedule nanochat() {
        return new CoefficientSchedule("nanochat", NANOCHAT, 1.01);
    }

    /** Chebyshev-accelerated Newton-Schulz (CANS), five polynomials. */
    public static CoefficientSchedule cans() {
        return new CoefficientSchedule("cans", CANS, 1);
    }

    /** {@link #minimax(double, double, int...)} of quintics, with the safety factor 1.01. */
    public static CoefficientSchedule minimax(int steps, double lower) {
        return minimax(steps, lower, 1.01);
    }

    /** {@link #minimax(double, double, int...)} of quintics. */
    public static CoefficientSchedule minimax(int steps, double lower, double safety) {
        int[] degrees = new int[requireSteps(steps)];
        Arrays.fill(degrees, 5);
        return minimax(lower, safety, degrees);
    }

    /**
     * For singular values in {@code [lower, 1]} and polynomials of given degrees: each is the odd one that is nearest to 1 on the
     * interval that the ones before it leave, which makes their composition the best there is (arXiv 2505.16932, theorem 3.1; here
     * without that paper's cushion, and for the number of steps that are taken). They are computed here, by Remez' exchange in FP64: the
     * same bits everywhere. The smaller {@code lower}, the more the small singular values grow and the wider the interval around 1 in
     * which all of {@code [lower, 1]} end.
     *
     * @param lower from 1e-6 to 0.5
     * @param safety σ is divided by it in every polynomial, so that rounding cannot push it beyond their interval; from 1 to 1.5
     * @param degrees of the polynomials in order, each 3, 5, 7 or 9; a GPU takes 3 or 5 as the first
     */
    public static CoefficientSchedule minimax(double lower, double safety, int... degrees) {
        double[] margins = new double[degrees.length];
        Arrays.fill(margins, safety);
        return minimax(lower, margins, degrees);
    }

    private static CoefficientSchedule minimax(double lower, double[] safety, int... degrees) {
        if (!(lower >= 1e-6 && lower <= 0.5)) {
            throw new IllegalArgumentException("the minimax schedule is for singular values from " + lower
                    + " to 1; the lower end must be from 1e-6 to 0.5");
        }
        for (double margin : safety) {
            requireSafety("the minimax schedule", margin);
        }
        List<Coefficients> list = new ArrayList<>();
        StringJoiner name = new StringJoiner("-", "minimax/", "/" + lower);
        double low = lower;
        double high = 1;
        for (int step = 0; step < degrees.length; step++) {
            int degree = degrees[step];
            if (degree < 3 || degree > 9 || degree % 2 == 0) {
                throw new IllegalArgumentException(
                        "the minimax schedule has a polynomial of degree " + degree + "; it must be 3, 5, 7 or 9");
            }
            name.add(String.valueOf(degree));
            if (high - low < CONVERGED) {
                list.add(POLAR_EXPRESS_LIMIT);
                continue;
            }
            MinimaxPolynomial best = MinimaxPolynomial.on(low, high, degree);
            list.add(best.coefficients().ofScaled(1 / safety[step]));
            low = 1 - best.error();
            high = 1 + best.error();
        }
        return new CoefficientSchedule(name.toString(), list, 1);
    }

    /**
     * Four polynomials of the degrees 5, 5, 5 and 9, for singular values in {@code [0.0014, 1]} of an input that is normalized by
     * {@link NormConvention#GRAM}: {@link #minimax(double, double, int...) minimax}, with a safety factor of 1.01, and of 1.08 in the third
     * step, before which a Gram iteration in bf16 restarts: until then it knows the largest singular values to 4 % only, and what goes
     * beyond a polynomial's interval explodes in the next ones. {@code docs/schedules.md} has the figures that it was chosen by: on
     * updates of a GPT in training it is nearer to the polar factor than {@link #keller()}, and takes less work.
     */
    public static CoefficientSchedule fourSteps() {
        return FourSteps.SCHEDULE;
    }

    /** Computed when it is first asked for, and once: a group of Muon is made more often than that. */
    private static final class FourSteps {
        private static final double[] SAFETY = {1.01, 1.01, 1.08, 1.01};
        static final CoefficientSchedule SCHEDULE = new CoefficientSchedule(
                "four-steps", minimax(0.0014, SAFETY, 5, 5, 5, 9).steps(), 1);
    }

    private static int requireSteps(int steps) {
        if (steps < 1 || steps > MAX_STEPS) {
            throw new IllegalArgumentException(
                    "a schedule has " + steps + " Newton-Schulz steps; it must have from 1 to " + MAX_STEPS);
        }
        return steps;
    }

    /**
     * The schedule of a name: {@code keller/STEPS}, {@code polar-express/STEPS}, {@code minimax/STEPS/LOWER} or
     * {@code minimax/DEGREE-DEGREE-.../LOWER}, {@code four-steps}, {@code you}, {@code cans} or {@code nanochat}.
     *
     * @throws IllegalArgumentException if there is none of that name
     */
    public static CoefficientSchedule named(String name) {
        String[] parts = name.split("/", -1);
        try {
            return switch (parts[0] + "/" + (parts.length - 1)) {
                case "keller/1" -> keller(Integer.parseInt(parts[1]));
                case "polar-express/1" -> polarExpress(Integer.parseInt(parts[1]));
                case "minimax/2" -> minimax(parts[1], Double.parseDouble(parts[2]));
                case "four-steps/0" -> fourSteps();
                case "you/0" -> you();
                case "cans/0" -> cans();
                case "nanochat/0" -> nanochat();
                default -> throw unknown(name);
            };
        } catch (NumberFormatException e) {
            throw unknown(name);
        }
    }

    private static CoefficientSchedule minimax(String stepsOrDegrees, double lower) {
        if (!stepsOrDegrees.contains("-")) {
            return minimax(Integer.parseInt(stepsOrDegrees), lower);
        }
        int[] degrees = Arrays.stream(stepsOrDegrees.split("-", -1))
                .mapToInt(Integer::parseInt)
                .toArray();
        return minimax(lower, 1.01, degrees);
    }

    private static IllegalArgumentException unknown(String name) {
        return new IllegalArgumentException("there is no schedule '" + name
                + "'; there are keller/5, polar-express/5, minimax/4/0.002 (with other numbers, too), four-steps, you,"
                + " cans and nanochat");
    }

    private static void requireSafety(String name, double safety) {
        if (!(safety >= 1 && safety <= 1.5)) {
            throw new IllegalArgumentException(
                    name + " has the safety factor " + safety + "; it must be from 1 to 1.5");
        }
    }

    /** Polynomials of one's own. */
    public static CoefficientSchedule of(String name, List<Coefficients> steps) {
        return new CoefficientSchedule(name, steps, 1);
    }
}
