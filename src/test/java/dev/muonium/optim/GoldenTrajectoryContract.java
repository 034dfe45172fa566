package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.Golden;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.Way;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Trajectories that were recorded with PyTorch, replayed. Errors are relative to the distance that the weights moved. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class GoldenTrajectoryContract {
    private static final List<String> SHAPES = List.of("192x48", "48x192", "64x64", "37x53", "1x96", "96x1");

    private Device device;

    /** The device to test. */
    protected abstract Device openDevice();

    /** An optimizer that steps in the way to test. */
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on);
    }

    @BeforeAll
    void open() {
        device = openDevice();
    }

    @AfterAll
    void close() {
        device.close();
        assertEquals(0, device.ledger().total(), "bytes left in the ledger");
    }

    static Stream<Arguments> muonFiles() {
        return SHAPES.stream()
                .flatMap(shape ->
                        Stream.of("nesterov", "plain").map(kind -> Arguments.of("muon_" + shape + "_" + kind)));
    }

    @ParameterizedTest
    @MethodSource("muonFiles")
    void muonFollowsTheFp64Trajectory(String file) {
        try (Golden golden = Golden.open(file)) {
            NewtonSchulz fp32 = NewtonSchulz.defaults().precision(ElementType.F32);
            assertMuon(golden, fp32.way(Way.plain()), 1e-5);
            assertMuon(golden, fp32.way(Way.symmetric()), 1e-5);
            assertMuon(golden, fp32.way(Way.gram(2)), 2e-4);
            assertMuon(golden, fp32.way(Way.gram(3)), 2e-4);
        }
    }

    @ParameterizedTest
    @MethodSource("muonFiles")
    void muonInBf16IsWithinTwiceTheReferencesOwnError(String file) {
        assumeTrue(device.isFast(ElementType.BF16), "bf16 products are skipped: this tier or processor has none");
        try (Golden golden = Golden.open(file)) {
            double reference = distance(golden.doubles("weight_10_bf16"), golden.doubles("weight_10_f64"))
                    / distance(golden.doubles("weight_10_f64"), golden.doubles("weight_0"));
            NewtonSchulz bf16 = NewtonSchulz.defaults().precision(ElementType.BF16);
            assertMuon(golden, bf16.way(Way.plain()), 2 * reference);
            assertMuon(golden, bf16.way(Way.symmetric()), 2 * reference);
            assertMuon(golden, bf16, 2 * reference);
        }
    }

    private void assertMuon(Golden golden, NewtonSchulz newtonSchulz, double bound) {
        int rows = (int) golden.number("rows");
        int cols = (int) golden.number("cols");
        int steps = (int) golden.number("steps");
        Muon muon = Muon.defaults()
                .learningRate(golden.number("lr"))
                .weightDecay(golden.number("weight_decay"))
                .momentum(golden.number("momentum"))
                .nesterov(Boolean.parseBoolean(golden.metadata().get("nesterov").toLowerCase(Locale.ROOT)))
                .newtonSchulz(newtonSchulz);
        float[] gradients = golden.floats("gradients");
        int size = rows * cols;
        try (Tensor weights = tensor("w", Shape.of(rows, cols));
                Tensor gradient = tensor("g", Shape.of(rows, cols));
                Optimizer optimizer = builder(device).group(muon).build()) {
            weights.copyFrom(golden.floats("weight_0"));
            optimizer.add(Parameter.of(ParameterKind.MATRIX, weights, gradient));
            for (int step = 0; step < steps; step++) {
                gradient.copyFrom(Arrays.copyOfRange(gradients, step * size, (step + 1) * size));
                optimizer.step();
                if (step == 0) {
                    assertMoved(
                            bound, weights, golden.doubles("weight_0"), golden.doubles("weight_1_f64"), newtonSchulz);
                }
            }
            assertMoved(bound, weights, golden.doubles("weight_0"), golden.doubles("weight_10_f64"), newtonSchulz);
            double[] momentum =
                    widen(optimizer.state("w").tensor("momentum_buffer").codes().toArray(ValueLayout.JAVA_FLOAT));
            double[] reference = golden.doubles("momentum_10_f64");
            double error = distance(momentum, reference) / distance(reference, new double[size]);
            assertTrue(error < 1e-6, "momentum off by " + error);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw_1000", "adamw_4096"})
    void adamWFollowsTheRecordedTrajectory(String file) {
        try (Golden golden = Golden.open(file)) {
            int steps = (int) golden.number("steps");
            float[] gradients = golden.floats("gradients");
            int size = gradients.length / steps;
            AdamW adamW = AdamW.defaults()
                    .learningRate(golden.number("lr"))
                    .betas(golden.number("beta1"), golden.number("beta2"))
                    .epsilon(golden.number("eps"))
                    .weightDecay(golden.number("weight_decay"));
            try (Tensor weights = tensor("w", Shape.of(size));
                    Tensor gradient = tensor("g", Shape.of(size));
                    Optimizer optimizer = builder(device).group(adamW).build()) {
                weights.copyFrom(golden.floats("weight_0"));
                optimizer.add(Parameter.of(ParameterKind.VECTOR, weights, gradient));
                for (int step = 0; step < steps; step++) {
                    gradient.copyFrom(Arrays.copyOfRange(gradients, step * size, (step + 1) * size));
                    optimizer.step();
                }
                assertMoved(1e-5, weights, golden.doubles("weight_0"), golden.doubles("weight_20"), "AdamW");
                assertEquals(steps, optimizer.state("w").step());
            }
        }
    }

    private static void assertMoved(double bound, Tensor weights, double[] start, double[] reference, Object what) {
        double error = distance(widen(weights.toFloatArray()), reference) / distance(reference, start);
        assertTrue(error <= bound, () -> what + ": off by " + error + " of the distance moved, more than " + bound);
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

    private Tensor tensor(String name, Shape shape) {
        return device.allocate(Purpose.WEIGHTS, name, ElementType.F32, shape);
    }
}
