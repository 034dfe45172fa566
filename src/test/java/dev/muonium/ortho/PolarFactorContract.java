package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.Golden;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every way and precision against the FP64 iteration, on every device. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class PolarFactorContract {
    private static final List<String> GOLDEN =
            List.of("newton_schulz_160x40", "newton_schulz_48x192", "newton_schulz_64x64");
    private static final List<String> INPUTS =
            List.of("uniform", "decay_1e-3", "decay_1e-6", "rank_half", "huge", "tiny");
    protected static final NewtonSchulz FP32 = NewtonSchulz.defaults().precision(ElementType.F32);

    /** Of the stacks whose rows are further apart than their columns. */
    protected static final int LD = 5;

    protected Device device;

    /** The norms that the evaluation to test knows. */
    protected List<NormConvention> norms() {
        return List.of(NormConvention.ADD_EPSILON, NormConvention.MAX_EPSILON);
    }

    /** The device to test. */
    protected abstract Device openDevice();

    /** What evaluates in the way to test. */
    protected PolarFactor polar(Device on, NewtonSchulz spec, long rows, long cols) {
        return new PolarFactor(spec, on, rows, cols);
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

    static Stream<Arguments> goldenInputs() {
        return GOLDEN.stream().flatMap(file -> INPUTS.stream().map(input -> Arguments.of(file, input)));
    }

    @ParameterizedTest
    @MethodSource("goldenInputs")
    void fp32StaysWithItsBoundsOfTheReference(String file, String input) {
        try (Golden golden = Golden.open(file)) {
            int rows = (int) golden.number("rows");
            int cols = (int) golden.number("cols");
            float[] u = golden.floats(input + ".input");
            double[] reference = golden.doubles(input + ".keller5_f64");
            assertWithin(1e-5, apply(device, FP32.way(Way.plain()), u, rows, cols), reference, "plain");
            assertWithin(1e-5, apply(device, FP32.way(Way.symmetric()), u, rows, cols), reference, "symmetric");
            assertWithin(2e-4, apply(device, FP32.way(Way.gram(2)), u, rows, cols), reference, "gram/2");
            assertWithin(2e-4, apply(device, FP32.way(Way.gram(3)), u, rows, cols), reference, "gram/3");
        }
    }

    /** Against the iteration as PyTorch runs it in bf16, with every operation rounded. */
    @ParameterizedTest
    @MethodSource("goldenInputs")
    void bf16IsNoWorseThanRoundingEveryOperation(String file, String input) {
        assumeBf16();
        try (Golden golden = Golden.open(file)) {
            int rows = (int) golden.number("rows");
            int cols = (int) golden.number("cols");
            float[] u = golden.floats(input + ".input");
            double[] reference = golden.doubles(input + ".keller5_f64");
            NewtonSchulz bf16 = NewtonSchulz.defaults().precision(ElementType.BF16);
            double bound = ReferenceNewtonSchulz.relativeError(
                    ReferenceNewtonSchulz.applyInBf16(bf16, u, rows, cols), reference);
            if (input.equals("tiny")) {
                // Nothing but a·X is left, five times, and bf16 holds Keller's a with an error of 0.2 %.
                bound = 0.015;
            }
            assertWithin(bound, apply(device, bf16.way(Way.plain()), u, rows, cols), reference, "plain");
            assertWithin(bound, apply(device, bf16.way(Way.symmetric()), u, rows, cols), reference, "symmetric");
            assertWithin(bound, apply(device, bf16.way(Way.gram(2)), u, rows, cols), reference, "gram/2");
        }
    }

    static Stream<CoefficientSchedule> schedules() {
        return Stream.of(
                CoefficientSchedule.keller(3),
                CoefficientSchedule.you(),
                CoefficientSchedule.polarExpress(5),
                CoefficientSchedule.polarExpress(9, 1.05),
                CoefficientSchedule.nanochat(),
                CoefficientSchedule.cans(),
                CoefficientSchedule.fourSteps(),
                CoefficientSchedule.minimax(4, 0.002),
                CoefficientSchedule.of("one step", List.of(new Coefficients(1.5, -0.5, 0))));
    }

    @ParameterizedTest
    @MethodSource("schedules")
    void everyScheduleMatchesTheReference(CoefficientSchedule schedule) {
        float[] u = gaussian(37 * 53, 7);
        for (NormConvention norm : norms()) {
            NewtonSchulz spec = FP32.schedule(schedule).norm(norm).epsilon(0.5);
            double[] reference = ReferenceNewtonSchulz.apply(spec, widen(u), 37, 53);
            // Nearer to 1, CANS, which has no safety factor, amplifies rounding a little more.
            double bound = norm == NormConvention.GRAM ? 2e-5 : 1e-5;
            assertWithin(bound, apply(device, spec.way(Way.plain()), u, 37, 53), reference, "plain");
            assertWithin(bound, apply(device, spec.way(Way.symmetric()), u, 37, 53), reference, "symmetric");
            assertWithin(2e-4, apply(device, spec.way(Way.gram()), u, 37, 53), reference, "gram");
        }
    }

    static Stream<Arguments> schedulesAndInputs() {
        List<String> inputs =
                Stream.concat(INPUTS.stream(), Stream.of("spiked")).toList();
        return schedules().flatMap(schedule -> inputs.stream().map(input -> Arguments.of(schedule, input)));
    }

    /**
     * Where an input has no singular values, rounding puts some of 1e-7 in their place, and a schedule multiplies them by its first coefficients: by some
     * thousands in nine steps of Polar Express.
     */
    @ParameterizedTest
    @MethodSource("schedulesAndInputs")
    void everyScheduleMatchesTheReferenceForEveryInput(CoefficientSchedule schedule, String input) {
        try (Golden golden = Golden.open(GOLDEN.getFirst())) {
            int rows = (int) golden.number("rows");
            int cols = (int) golden.number("cols");
            float[] u = input.equals("spiked") ? spiked(rows, cols) : golden.floats(input + ".input");
            for (NormConvention norm : norms()) {
                NewtonSchulz spec = FP32.schedule(schedule).norm(norm);
                double[] reference = ReferenceNewtonSchulz.apply(spec, widen(u), rows, cols);
                for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram(2), Way.gram(3))) {
                    assertWithin(1e-3, apply(device, spec.way(way), u, rows, cols), reference, norm + ", " + way);
                }
            }
        }
    }

    /** One singular value a thousand times the others. */
    private static float[] spiked(int rows, int cols) {
        float[] u = gaussian(rows * cols, 19);
        float[] left = gaussian(rows, 20);
        float[] right = gaussian(cols, 21);
        for (int i = 0; i < u.length; i++) {
            u[i] += 200 * left[i / cols] * right[i % cols];
        }
        return u;
    }

    @Test
    void theNormConventionsDifferWhereEpsilonCounts() {
        float[] u = new float[6 * 9];
        Arrays.fill(u, 1e-3f);
        NewtonSchulz spec =
                FP32.epsilon(0.1).schedule(CoefficientSchedule.of("one step", List.of(new Coefficients(1.5, -0.5, 0))));
        float[] added = apply(device, spec.norm(NormConvention.ADD_EPSILON), u, 6, 9);
        float[] max = apply(device, spec.norm(NormConvention.MAX_EPSILON), u, 6, 9);
        assertTrue(max[0] > added[0] * 1.05, max[0] + " against " + added[0]);
    }

    /** Shapes with one panel, several, ragged ones, and single rows and columns. */
    @ParameterizedTest
    @ValueSource(strings = {"1x1", "1x96", "96x1", "129x257", "257x129", "300x300", "128x640", "1030x20"})
    void panelsAndStripsFitTogetherForEveryShape(String shape) {
        int rows = Integer.parseInt(shape.split("x")[0]);
        int cols = Integer.parseInt(shape.split("x")[1]);
        float[] u = gaussian(rows * cols, 11);
        double[] reference = ReferenceNewtonSchulz.apply(FP32, widen(u), rows, cols);
        assertWithin(1e-5, apply(device, FP32.way(Way.plain()), u, rows, cols), reference, "plain");
        assertWithin(1e-5, apply(device, FP32.way(Way.symmetric()), u, rows, cols), reference, "symmetric");
        assertWithin(2e-4, apply(device, FP32.way(Way.gram(1)), u, rows, cols), reference, "gram/1");
        assertWithin(2e-4, apply(device, FP32.way(Way.gram(2)), u, rows, cols), reference, "gram/2");
    }

    @Test
    void zeroStaysZeroInEveryWay() {
        for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram())) {
            float[] out = apply(device, FP32.way(way), new float[20 * 30], 20, 30);
            assertArrayEquals(new float[20 * 30], out, way.toString());
        }
    }

    /** From denormals to where a square overflows: the exact power of two in front makes the norm irrelevant. */
    @ParameterizedTest
    @ValueSource(doubles = {0x1p-120, 0x1p-40, 0x1p-13, 1, 0x1p13, 0x1p40, 0x1p120})
    void theNormOfTheInputDoesNotMatter(double scale) {
        for (NormConvention norm : norms()) {
            if (norm != NormConvention.ADD_EPSILON) {
                theNormDoesNotMatter(FP32.norm(norm).epsilon(1e-30), scale);
            }
        }
    }

    private void theNormDoesNotMatter(NewtonSchulz spec, double scale) {
        float[] u = gaussian(24 * 40, 3);
        double norm = ReferenceNewtonSchulz.norm(widen(u));
        float[] scaled = new float[u.length];
        for (int i = 0; i < u.length; i++) {
            scaled[i] = (float) (u[i] * scale / norm);
        }
        double[] reference = ReferenceNewtonSchulz.apply(spec, widen(scaled), 24, 40);
        for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram())) {
            float[] out = apply(device, spec.way(way), scaled, 24, 40);
            assertWithin(way instanceof Way.Gram ? 2e-4 : 1e-5, out, reference, way + " at " + scale);
        }
    }

    @Test
    void partsOfMatricesAndStacksComputeWhatDenseMatricesDo() {
        int rows = 30;
        int cols = 20;
        int ld = 64;
        int stride = rows * ld;
        float[] all = gaussian(3 * stride, 9);
        try (Tensor u = f32(all);
                Tensor out = f32(new float[3 * stride]);
                PolarFactor polar = polar(device, FP32, rows, cols)) {
            polar.applyToStack(3, u.segment(), ElementType.F32, ld, stride, out.segment(), ElementType.F32, ld, stride);
            float[] result = out.toFloatArray();
            for (int matrix = 0; matrix < 3; matrix++) {
                float[] dense = new float[rows * cols];
                for (int i = 0; i < rows; i++) {
                    System.arraycopy(all, matrix * stride + i * ld, dense, i * cols, cols);
                }
                float[] expected = apply(device, FP32, dense, rows, cols);
                for (int i = 0; i < rows; i++) {
                    int from = matrix * stride + i * ld;
                    assertArrayEquals(
                            Arrays.copyOfRange(expected, i * cols, (i + 1) * cols),
                            Arrays.copyOfRange(result, from, from + cols));
                    for (int j = cols; j < ld; j++) {
                        assertEquals(0, result[from + j], "beyond the part");
                    }
                }
            }
        }
    }

    protected static void assertMessage(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }

    protected final void assumeBf16() {
        assumeTrue(device.isFast(ElementType.BF16), "bf16 products are skipped: this tier or processor has none");
    }

    protected static void assertWithin(double bound, float[] result, double[] reference, String way) {
        double error = ReferenceNewtonSchulz.relativeError(result, reference);
        assertTrue(error <= bound, () -> way + ": relative error " + error + " > " + bound);
    }

    protected final float[] apply(Device on, NewtonSchulz spec, float[] u, int rows, int cols) {
        try (Tensor in = on.allocate(Purpose.WORKSPACE, "in", ElementType.F32, Shape.of(rows, cols));
                Tensor out = on.allocate(Purpose.WORKSPACE, "out", ElementType.F32, Shape.of(rows, cols));
                PolarFactor polar = polar(on, spec, rows, cols)) {
            in.copyFrom(u);
            polar.apply(in.segment(), ElementType.F32, out.segment(), ElementType.F32);
            return out.toFloatArray();
        }
    }

    protected final Tensor f32(float[] values) {
        Tensor tensor = device.allocate(Purpose.WORKSPACE, "values", ElementType.F32, Shape.of(values.length));
        tensor.copyFrom(values);
        return tensor;
    }

    protected static float[] gaussian(int count, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    protected static double[] widen(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
