package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.ElementType;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class CoefficientScheduleTest {
    /** Where singular values in [lo, 1] end; known figures of these schedules, which a wrong digit would change. */
    static Stream<Arguments> ranges() {
        return Stream.of(
                Arguments.of(CoefficientSchedule.keller(), 0.01, 0.682, 1.134),
                Arguments.of(CoefficientSchedule.keller(), 0.001, 0.471, 1.202),
                Arguments.of(CoefficientSchedule.you(), 0.01, 0.978, 1.032),
                Arguments.of(CoefficientSchedule.you(), 0.001, 0.475, 1.145),
                Arguments.of(CoefficientSchedule.polarExpress(5), 0.01, 0.870, 1.124),
                Arguments.of(CoefficientSchedule.polarExpress(5), 0.001, 0.846, 1.124));
    }

    @ParameterizedTest
    @MethodSource("ranges")
    void singularValuesEndWhereTheyShould(CoefficientSchedule schedule, double lo, double least, double most) {
        double min = Double.MAX_VALUE;
        double max = 0;
        for (int i = 0; i <= 100_000; i++) {
            double sigma = lo * Math.pow(1 / lo, i / 100_000.0);
            for (Coefficients step : schedule.steps()) {
                sigma = step.apply(sigma);
            }
            min = Math.min(min, sigma);
            max = Math.max(max, sigma);
        }
        assertEquals(least, min, 6e-4);
        assertEquals(most, max, 6e-4);
    }

    @ParameterizedTest
    @MethodSource("converging")
    void theOthersBringSingularValuesNearOne(CoefficientSchedule schedule, double bound) {
        for (double sigma : List.of(0.01, 0.1, 0.5, 0.9)) {
            double end = sigma / schedule.normFactor();
            for (Coefficients step : schedule.steps()) {
                end = step.apply(end);
            }
            assertEquals(1, end, bound, schedule.name() + " at " + sigma);
        }
    }

    static Stream<Arguments> converging() {
        return Stream.of(
                Arguments.of(CoefficientSchedule.nanochat(), 0.15),
                Arguments.of(CoefficientSchedule.cans(), 0.15),
                Arguments.of(CoefficientSchedule.polarExpress(8), 1e-3),
                Arguments.of(CoefficientSchedule.polarExpress(12), 1e-9));
    }

    @Test
    void aScaledPolynomialIsThePolynomialOfTheScaledValue() {
        Coefficients p = new Coefficients(3, -4, 2);
        assertEquals(p.apply(0.7 * 0.3), p.ofScaled(0.7).apply(0.3), 1e-15);
    }

    @Test
    void fromTheEighthStepOnPolarExpressRepeatsItsLimitWithoutSafety() {
        List<Coefficients> steps = CoefficientSchedule.polarExpress(10, 1.05).steps();
        assertEquals(new Coefficients(1.875, -1.25, 0.375), steps.get(7));
        assertEquals(new Coefficients(1.875, -1.25, 0.375), steps.get(9));
        assertEquals(8.28721201814563 / 1.05, steps.get(0).a(), 1e-14);
    }

    /** Its error at the ends and at both extrema is the same, which only the best polynomial's is (Chebyshev). */
    @ParameterizedTest
    @CsvSource({
        "5, 1e-6",
        "5, 1e-3",
        "5, 0.002",
        "5, 0.05",
        "5, 0.5",
        "5, 0.98",
        "3, 0.01",
        "3, 0.9",
        "7, 1e-3",
        "7, 0.3",
        "9, 1e-3",
        "9, 0.002",
        "9, 0.05",
        "9, 0.3"
    })
    void theMinimaxPolynomialEquioscillates(int degree, double low) {
        double high = 1.3;
        MinimaxPolynomial best = MinimaxPolynomial.on(low, high, degree);
        int signs = 0;
        double most = 0;
        double before = 0;
        for (int i = 0; i <= 200_000; i++) {
            double error = best.coefficients().apply(low * Math.pow(high / low, i / 200_000.0)) - 1;
            most = Math.max(most, Math.abs(error));
            if (Math.abs(error) > best.error() * (1 - 1e-5) && Math.signum(error) != before) {
                before = Math.signum(error);
                signs++;
            }
        }
        assertEquals(best.error(), most, 1e-6 * best.error() + 1e-14);
        assertEquals((degree + 3) / 2, signs, "alternations at " + low);
    }

    @Test
    void minimaxStepsTakeTheirIntervalWhereTheirComposedErrorSays() {
        CoefficientSchedule schedule = CoefficientSchedule.minimax(4, 0.002, 1);
        double least = Double.MAX_VALUE;
        double most = 0;
        for (int i = 0; i <= 100_000; i++) {
            double sigma = 0.002 * Math.pow(500, i / 100_000.0);
            for (Coefficients step : schedule.steps()) {
                sigma = step.apply(sigma);
            }
            least = Math.min(least, sigma);
            most = Math.max(most, sigma);
        }
        assertEquals(0.679, least, 6e-4);
        assertEquals(2 - 0.679, most, 6e-4);
        double gain = 1;
        for (Coefficients step : schedule.steps()) {
            gain *= step.a();
        }
        assertEquals(358, gain, 0.5);
    }

    /** What was chosen: more growth than Keller's 485 once the Gram norm has taken the place of the larger Frobenius norm. */
    @Test
    void theFourStepsKeepTheirInterval() {
        List<Coefficients> steps = CoefficientSchedule.fourSteps().steps();
        assertEquals(4, steps.size());
        double least = Double.MAX_VALUE;
        double most = 0;
        for (int i = 0; i <= 100_000; i++) {
            double sigma = 0.002 * Math.pow(500, i / 100_000.0);
            for (Coefficients step : steps) {
                sigma = step.apply(sigma);
            }
            least = Math.min(least, sigma);
            most = Math.max(most, sigma);
        }
        assertTrue(least > 0.69 && most < 1.25, least + " to " + most);
        double gain = steps.stream().mapToDouble(Coefficients::a).reduce(1, (a, b) -> a * b);
        assertTrue(gain > 485, "gain " + gain);
    }

    @Test
    void aDegreeThatIsNoneGetsASentence() {
        assertSentence("degree 4", () -> CoefficientSchedule.minimax(0.01, 1.01, 5, 4));
        assertSentence("degree 11", () -> CoefficientSchedule.minimax(0.01, 1.01, 11));
    }

    @Test
    void aNarrowIntervalEndsInTheLimit() {
        List<Coefficients> steps = CoefficientSchedule.minimax(6, 0.5).steps();
        assertEquals(new Coefficients(1.875, -1.25, 0.375), steps.getLast());
    }

    @Test
    void schedulesHaveNames() {
        assertEquals(CoefficientSchedule.keller(4), CoefficientSchedule.named("keller/4"));
        assertEquals(CoefficientSchedule.polarExpress(3), CoefficientSchedule.named("polar-express/3"));
        assertEquals(CoefficientSchedule.minimax(4, 0.002), CoefficientSchedule.named("minimax/4/0.002"));
        assertEquals(CoefficientSchedule.minimax(4, 0.002), CoefficientSchedule.named("minimax/5-5-5-5/0.002"));
        assertEquals(CoefficientSchedule.fourSteps(), CoefficientSchedule.named("four-steps"));
        for (String name : List.of("you", "cans", "nanochat")) {
            assertEquals(name, CoefficientSchedule.named(name).name());
        }
        for (String name : List.of("keller", "kellar/5", "keller/x", "minimax/4", "cans/5", "")) {
            assertSentence("there is no schedule '" + name + "'", () -> CoefficientSchedule.named(name));
        }
    }

    @Test
    void theDefaultWayGoesByShapeAndPrecision() {
        NewtonSchulz spec = NewtonSchulz.defaults();
        assertEquals(Way.symmetric(), spec.wayFor(768, 768, ElementType.BF16));
        assertEquals(Way.gram(2), spec.wayFor(768, 3072, ElementType.BF16));
        assertEquals(Way.gram(2), spec.wayFor(3072, 768, ElementType.BF16));
        assertEquals(Way.gram(3), spec.wayFor(768, 3072, ElementType.F32));
        assertEquals(Way.plain(), spec.way(Way.plain()).wayFor(768, 3072, ElementType.F32));
    }

    @Test
    void badSettingsGetASentence() {
        assertSentence("has 0 Newton-Schulz steps", () -> CoefficientSchedule.keller(0));
        assertSentence("has 65 Newton-Schulz steps", () -> CoefficientSchedule.polarExpress(65));
        assertSentence("safety factor 0.5", () -> CoefficientSchedule.polarExpress(5, 0.5));
        assertSentence("safety factor 2.0", () -> CoefficientSchedule.minimax(5, 0.01, 2));
        assertSentence("singular values from 0.0 to 1", () -> CoefficientSchedule.minimax(5, 0));
        assertSentence("has 0 Newton-Schulz steps", () -> CoefficientSchedule.minimax(0, 0.01));
        assertSentence("all must be finite", () -> new Coefficients(1, Double.NaN, 0));
        assertSentence("restarts after 0 steps", () -> Way.gram(0));
        assertSentence(
                "epsilon of Newton-Schulz is 0.0", () -> NewtonSchulz.defaults().epsilon(0));
        assertSentence(
                "precision of Newton-Schulz is I8",
                () -> NewtonSchulz.defaults().precision(ElementType.I8));
    }

    private static void assertSentence(String part, org.junit.jupiter.api.function.Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }
}
