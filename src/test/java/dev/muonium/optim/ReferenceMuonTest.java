package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import dev.muonium.ortho.ReferenceNewtonSchulz;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Muon's settings, all of them at once, against the formula in FP64; the recorded trajectories have only the usual ones. */
@Tag("tier")
class ReferenceMuonTest {
    private static final int STEPS = 4;

    private static Device device;

    @BeforeAll
    static void open() {
        device = Device.cpu(2);
    }

    @AfterAll
    static void close() {
        device.close();
    }

    static Stream<Arguments> settings() {
        return Stream.of(LearningRateAdjustment.values())
                .flatMap(adjustment -> Stream.of(true, false)
                        .flatMap(nesterov ->
                                Stream.of("90x40", "40x90").map(shape -> Arguments.of(adjustment, nesterov, shape))));
    }

    @ParameterizedTest
    @MethodSource("settings")
    void everySettingHasTheFormulasEffect(LearningRateAdjustment adjustment, boolean nesterov, String shape) {
        int rows = Integer.parseInt(shape.substring(0, 2));
        int cols = Integer.parseInt(shape.substring(3));
        Muon muon = Muon.defaults()
                .learningRate(0.04)
                .weightDecay(0.3)
                .momentum(0.8)
                .nesterov(nesterov)
                .adjustment(adjustment)
                .newtonSchulz(NewtonSchulz.defaults()
                        .precision(ElementType.F32)
                        .norm(NormConvention.MAX_EPSILON)
                        .schedule(CoefficientSchedule.polarExpress(4)));
        Schedule schedule = Schedule.linear(2, 3, 5, 0.1);
        double multiplier = 0.7;
        double gradientScale = 0.3;

        try (Tensor weights = tensor(rows, cols);
                Tensor gradient = tensor(rows, cols);
                Optimizer optimizer =
                        Optimizer.builder(device).group(muon).schedule(schedule).build()) {
            Random random = new Random(17);
            weights.copyFrom(noise(random, rows * cols));
            double[] start = widen(weights.toFloatArray());
            double[] expected = start.clone();
            double[] momentum = new double[expected.length];
            optimizer.add(Parameter.of(ParameterKind.MATRIX, weights, gradient).learningRateMultiplier(multiplier));
            for (int step = 0; step < STEPS; step++) {
                float[] g = noise(random, rows * cols);
                gradient.copyFrom(g);
                optimizer.step(gradientScale);
                double lr = muon.learningRate() * schedule.factor(step) * multiplier;
                double[] u = new double[g.length];
                for (int i = 0; i < u.length; i++) {
                    momentum[i] = 0.8 * momentum[i] + 0.2 * gradientScale * g[i];
                    u[i] = nesterov ? 0.2 * gradientScale * g[i] + 0.8 * momentum[i] : momentum[i];
                }
                double[] o = ReferenceNewtonSchulz.apply(muon.newtonSchulzOn(device), u, rows, cols);
                for (int i = 0; i < u.length; i++) {
                    expected[i] = expected[i] * (1 - lr * 0.3) - lr * factor(adjustment, rows, cols) * o[i];
                }
            }
            double[] actual = widen(weights.toFloatArray());
            double error = distance(actual, expected) / distance(expected, start);
            assertTrue(error <= 1e-5, "off by " + error + " of the distance moved");
        }
    }

    private static double factor(LearningRateAdjustment adjustment, double rows, double cols) {
        return switch (adjustment) {
            case ORIGINAL -> Math.sqrt(Math.max(1, rows / cols));
            case MATCH_RMS_ADAMW -> 0.2 * Math.sqrt(Math.max(rows, cols));
            case SPECTRAL -> Math.sqrt(rows / cols);
            case NONE -> 1;
        };
    }

    private static Tensor tensor(int rows, int cols) {
        return device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(rows, cols));
    }

    private static float[] noise(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static double distance(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }

    private static double[] widen(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
