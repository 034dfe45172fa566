package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.Golden;
import dev.muonium.device.Device;
import dev.muonium.device.PoolWaiter;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every way and precision against the FP64 iteration. */
@Tag("tier")
class PolarFactorTest {
    private static final List<String> GOLDEN =
            List.of("newton_schulz_160x40", "newton_schulz_48x192", "newton_schulz_64x64");
    private static final List<String> INPUTS =
            List.of("uniform", "decay_1e-3", "decay_1e-6", "rank_half", "huge", "tiny");
    private static final NewtonSchulz FP32 = NewtonSchulz.defaults().precision(ElementType.F32);

    /** Of the stacks whose rows are further apart than their columns. */
    private static final int LD = 5;

    private static Device device;

    @BeforeAll
    static void open() {
        device = Device.cpu(2);
    }

    @AfterAll
    static void close() {
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
                CoefficientSchedule.of("one step", List.of(new Coefficients(1.5, -0.5, 0))));
    }

    @ParameterizedTest
    @MethodSource("schedules")
    void everyScheduleMatchesTheReference(CoefficientSchedule schedule) {
        float[] u = gaussian(37 * 53, 7);
        for (NormConvention norm : NormConvention.values()) {
            NewtonSchulz spec = FP32.schedule(schedule).norm(norm).epsilon(0.5);
            double[] reference = ReferenceNewtonSchulz.apply(spec, widen(u), 37, 53);
            assertWithin(1e-5, apply(device, spec.way(Way.plain()), u, 37, 53), reference, "plain");
            assertWithin(1e-5, apply(device, spec.way(Way.symmetric()), u, 37, 53), reference, "symmetric");
            assertWithin(2e-4, apply(device, spec.way(Way.gram()), u, 37, 53), reference, "gram");
        }
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
        NewtonSchulz spec = FP32.norm(NormConvention.MAX_EPSILON).epsilon(1e-30);
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
    void theBitsAreTheSameForAnyNumberOfThreads() {
        List<ElementType> precisions = new ArrayList<>(List.of(ElementType.F32));
        if (device.isFast(ElementType.BF16)) {
            precisions.add(ElementType.BF16);
        }
        float[] u = gaussian(300 * 700, 5);
        for (ElementType precision : precisions) {
            for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram())) {
                NewtonSchulz spec = NewtonSchulz.defaults().precision(precision).way(way);
                List<float[]> results = new ArrayList<>();
                for (int threads = 1; threads <= 3; threads++) {
                    try (Device other = Device.cpu(threads)) {
                        results.add(apply(other, spec, u, 300, 700));
                    }
                }
                assertArrayEquals(results.get(0), results.get(1), precision + " " + way);
                assertArrayEquals(results.get(0), results.get(2), precision + " " + way);
            }
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
                PolarFactor polar = new PolarFactor(FP32, device, rows, cols)) {
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

    @Test
    void badInputGetsASentence() {
        try (Tensor u = f32(new float[12]);
                PolarFactor polar = new PolarFactor(FP32, device, 3, 4)) {
            MemorySegment memory = u.segment();
            assertMessage(
                    "leading dimension of 'u' is 3; it must be at least the 4 columns",
                    () -> polar.apply(memory, ElementType.F32, 3, memory, ElementType.F32, 4));
            assertMessage(
                    "'out' is read-only",
                    () -> polar.apply(memory, ElementType.F32, memory.asReadOnly(), ElementType.F32));
            assertMessage(
                    "'u' has 40 bytes; 12 elements of F32 need 48",
                    () -> polar.apply(memory.asSlice(0, 40), ElementType.F32, memory, ElementType.F32));
            assertMessage(
                    "lies on the Java heap",
                    () -> polar.apply(MemorySegment.ofArray(new float[12]), ElementType.F32, memory, ElementType.F32));
            u.setFloat(3, Float.NaN);
            assertMessage("holds NaN", () -> polar.apply(memory, ElementType.F32, memory, ElementType.F32));
        }
    }

    @Test
    void aStackThatOverlapsItselfIsRefusedBeforeAnythingIsWritten() {
        float[] values = gaussian(100, 1);
        try (Tensor u = f32(values);
                Tensor out = f32(values);
                PolarFactor polar = new PolarFactor(FP32, device, 3, 4)) {
            assertMessage(
                    "the stride of 'u' is 10; it must be at least the 14 elements",
                    () -> stack(polar, u, out, 3, 10, 14));
            assertMessage(
                    "the stride of 'out' is -5; it must be at least the 14", () -> stack(polar, u, out, 3, 14, -5));
            assertMessage("'u' has 400 bytes", () -> stack(polar, u, out, 3, Long.MAX_VALUE / 2, 14));
            assertMessage("'out' has 400 bytes", () -> stack(polar, u, out, 3, 14, Long.MAX_VALUE));
            assertMessage(
                    "'u' has 400 bytes",
                    () -> polar.apply(u.segment(), ElementType.F32, Long.MAX_VALUE, out.segment(), ElementType.F32, 4));
            assertMessage("a stack has 0 matrices", () -> stack(polar, u, out, 0, 14, 14));
            assertArrayEquals(values, out.toFloatArray());
            stack(polar, u, out, 1, 0, 0); // without a second matrix there is no stride
            stack(polar, u, out, 3, 14, 14);
        }
    }

    /** With rows 5 elements apart. */
    private static void stack(PolarFactor polar, Tensor u, Tensor out, int count, long uStride, long outStride) {
        polar.applyToStack(
                count, u.segment(), ElementType.F32, LD, uStride, out.segment(), ElementType.F32, LD, outStride);
    }

    @Test
    void aWorkspaceThatCannotBeUsedGetsASentence() {
        long bytes = Iteration.workspaceBytes(FP32, device, 3, 4);
        try (Arena arena = Arena.ofShared()) {
            String name = "'the workspace of a Newton-Schulz iteration for 3×4'";
            MemorySegment memory = arena.allocate(bytes + 8, 64);
            assertMessage(name + " lies on the Java heap", () -> bind(MemorySegment.ofArray(new byte[(int) bytes])));
            assertMessage(name + " is read-only", () -> bind(memory.asReadOnly()));
            assertMessage(name + " starts at address", () -> bind(memory.asSlice(2)));
            assertMessage(name + " has " + (bytes - 1) + " bytes", () -> bind(memory.asSlice(0, bytes - 1)));
            bind(memory.asSlice(4));
        }
        assertMessage("extent 0", () -> Iteration.workspaceBytes(FP32, device, 0, 4));
        assertMessage(
                "iteration for 3000000000×3000000000 has more bytes than a 64-bit count can hold",
                () -> Iteration.workspaceBytes(FP32, device, 3_000_000_000L, 3_000_000_000L));
        assertMessage(
                "more bytes than a 64-bit count", () -> Iteration.workspaceBytes(FP32, device, 1, Long.MAX_VALUE / 5));
    }

    private static void bind(MemorySegment workspace) {
        Iteration.bind(FP32, device, 3, 4, workspace);
    }

    @Test
    void aSecondThreadIsRefusedWhileOneComputes() throws InterruptedException {
        float[] values = gaussian(12, 1);
        try (Tensor u = f32(Arrays.copyOf(values, 14));
                Tensor out = f32(new float[14]);
                PolarFactor polar = new PolarFactor(FP32, device, 3, 4)) {
            Executable apply = () -> polar.apply(u.segment(), ElementType.F32, out.segment(), ElementType.F32);
            Thread other = new Thread(() -> polar.apply(u.segment(), ElementType.F32, out.segment(), ElementType.F32));
            // While this task runs, the pool is taken, and whoever computes waits for it in the middle.
            device.workers().run(1, (task, worker) -> {
                other.start();
                PoolWaiter.await(other);
                for (Executable call : List.of(apply, () -> stack(polar, u, out, 1, 0, 0), polar::close)) {
                    assertTrue(assertThrows(IllegalStateException.class, call)
                            .getMessage()
                            .contains("polar factor of 3×4 is in use by another thread"));
                }
            });
            other.join();
            assertArrayEquals(apply(device, FP32, values, 3, 4), Arrays.copyOf(out.toFloatArray(), 12));
        }
    }

    private static void assertMessage(String part, Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(part), message);
    }

    private static void assumeBf16() {
        assumeTrue(device.isFast(ElementType.BF16), "bf16 products are skipped: this tier or processor has none");
    }

    private static void assertWithin(double bound, float[] result, double[] reference, String way) {
        double error = ReferenceNewtonSchulz.relativeError(result, reference);
        assertTrue(error <= bound, () -> way + ": relative error " + error + " > " + bound);
    }

    private static float[] apply(Device on, NewtonSchulz spec, float[] u, int rows, int cols) {
        try (Tensor in = on.allocate(Purpose.WORKSPACE, "in", ElementType.F32, Shape.of(rows, cols));
                Tensor out = on.allocate(Purpose.WORKSPACE, "out", ElementType.F32, Shape.of(rows, cols));
                PolarFactor polar = new PolarFactor(spec, on, rows, cols)) {
            in.copyFrom(u);
            polar.apply(in.segment(), ElementType.F32, out.segment(), ElementType.F32);
            return out.toFloatArray();
        }
    }

    private static Tensor f32(float[] values) {
        Tensor tensor = device.allocate(Purpose.WORKSPACE, "values", ElementType.F32, Shape.of(values.length));
        tensor.copyFrom(values);
        return tensor;
    }

    private static float[] gaussian(int count, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static double[] widen(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
