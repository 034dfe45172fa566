package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.NativeException;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** FP8 products on a GPU or an emulated one, of whatever compute capability it has. */
@CudaTest
@Tag("fp8")
final class Fp8MatmulTest {
    private static final BlockFormat E4M3 = BlockFormat.FP8_E4M3;
    private static final BlockFormat E5M2 = BlockFormat.FP8_E5M2;

    private final List<Tensor> tensors = new ArrayList<>();
    private CudaDevice device;

    @BeforeEach
    void open() {
        device = Device.cuda();
    }

    @AfterEach
    void close() {
        tensors.forEach(Tensor::close);
        assertEquals(0, device.ledger().bytes(Purpose.ACTIVATIONS));
        device.close();
    }

    private Tensor tensor(ElementType type, long elements) {
        Tensor tensor = device.allocate(Purpose.ACTIVATIONS, "x", type, Shape.of(elements));
        tensors.add(tensor);
        return tensor;
    }

    private Tensor tensor(ElementType type, float[] values) {
        Tensor tensor = tensor(type, values.length);
        tensor.copyFrom(values);
        return tensor;
    }

    /** An operand, and the numbers that are in it. */
    private final class Operand {
        final Tensor codes;
        final Tensor scales;
        final Fp8Operand operand;
        private final long scaleRows;

        Operand(long codes, long scales, long scaleRows) {
            this.scaleRows = scaleRows;
            this.codes = tensor(ElementType.U8, codes);
            this.scales = tensor(ElementType.F32, scales);
            this.operand = new Fp8Operand(this.codes.segment(), this.scales.segment());
        }

        /** Row-major, {@code rows × cols}; by the formats' definitions, not by the kernels'. */
        double[] numbers(
                BlockFormat format, Fp8Scaling scaling, boolean squares, long rows, long cols, long paddedCols) {
            byte[] bytes = bytes(codes);
            float[] factors = scales.toFloatArray();
            double[] numbers = new double[Math.toIntExact(rows * cols)];
            long blocks = (paddedCols + 127) / 128;
            for (long row = 0; row < rows; row++) {
                for (long col = 0; col < cols; col++) {
                    long block = col / 128;
                    long at = scaling == Fp8Scaling.TENSOR
                            ? 0
                            : squares ? block + row / 128 * ((blocks + 3) / 4 * 4) : row + block * scaleRows;
                    numbers[(int) (row * cols + col)] =
                            (double) factors[(int) at] * fp8(format, bytes[(int) (row * paddedCols + col)]);
                }
            }
            return numbers;
        }
    }

    private byte[] bytes(Tensor codes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(codes.byteSize());
            device.memory().copyOut(codes.segment(), 0, host, 0, codes.byteSize());
            return host.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private static double fp8(BlockFormat format, byte code) {
        int mantissaBits = format == E4M3 ? 3 : 2;
        int bias = format == E4M3 ? 7 : 15;
        int exponent = (code & 0x7f) >> mantissaBits;
        int mantissa = code & ((1 << mantissaBits) - 1);
        double magnitude = exponent == 0
                ? Math.scalb((double) mantissa, 1 - bias - mantissaBits)
                : Math.scalb((double) (mantissa + (1 << mantissaBits)), exponent - bias - mantissaBits);
        return code < 0 ? -magnitude : magnitude;
    }

    private static float[] random(long count, long seed) {
        Random random = new Random(seed);
        float[] values = new float[Math.toIntExact(count)];
        for (int i = 0; i < values.length; i++) {
            values[i] = Bf16.toFloat(Bf16.fromFloat((float) (random.nextGaussian() * Math.exp(random.nextGaussian()))));
        }
        return values;
    }

    private static float[] transpose(float[] x, int rows, int cols) {
        float[] out = new float[x.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                out[j * rows + i] = x[i * cols + j];
            }
        }
        return out;
    }

    private static Fp8Spec spec(BlockFormat a, BlockFormat b, boolean squares, ElementType c, long m, long n, long k) {
        return new Fp8Spec(a, b, squares, c, m, n, k, false);
    }

    private static Fp8Spec adding(Fp8Spec spec) {
        return new Fp8Spec(
                spec.aFormat(), spec.bFormat(), spec.squares(), spec.cType(), spec.m(), spec.n(), spec.k(), true);
    }

    /** Of whole pieces, beyond blocks of 128, and with m, n and k that each need padding. */
    static Stream<Fp8Spec> specs() {
        return Stream.of(
                spec(E4M3, E4M3, true, ElementType.BF16, 32, 48, 64),
                spec(E4M3, E4M3, true, ElementType.F32, 136, 144, 272),
                spec(E5M2, E4M3, true, ElementType.BF16, 4, 8, 400),
                spec(E5M2, E4M3, false, ElementType.F32, 136, 132, 144),
                spec(E4M3, E5M2, false, ElementType.BF16, 16, 16, 16),
                spec(E4M3, E4M3, true, ElementType.BF16, 33, 37, 41),
                spec(E5M2, E4M3, false, ElementType.F32, 7, 130, 129),
                spec(E4M3, E4M3, true, ElementType.F32, 1, 1, 1));
    }

    private record Product(Operand a, Operand b, Tensor c) {}

    private Product run(Fp8Spec spec, boolean transposed) {
        Fp8Matmul product = device.fp8Matmul(spec);
        int m = (int) spec.m();
        int n = (int) spec.n();
        int k = (int) spec.k();
        float[] x = random((long) m * k, 1);
        float[] y = random((long) n * k, 2);
        Operand a = new Operand(spec.aCodes(), spec.aScales(), spec.paddedM());
        Operand b = new Operand(spec.bCodes(), spec.bScales(), spec.paddedN());
        Tensor left = tensor(ElementType.BF16, transposed ? transpose(x, m, k) : x);
        Tensor right = tensor(ElementType.F32, transposed ? transpose(y, n, k) : y);
        Tensor c = tensor(spec.cType(), before(spec));
        product.codeA(a.operand, left.segment(), ElementType.BF16, transposed);
        product.codeB(b.operand, right.segment(), ElementType.F32, transposed);
        assertTrue(product.holdsA(a.operand, left.segment(), transposed));
        Tensor beside = tensor(spec.cType(), spec.resultElements());
        product.run(a.operand, b.operand, c.segment(), spec.isPadded() ? beside.segment() : null);
        assertNear(x, numbersA(a, product), spec.aFormat());
        assertNear(y, numbersB(b, product), spec.bFormat());
        return new Product(a, b, c);
    }

    /** What is in C before a product. */
    private static float[] before(Fp8Spec spec) {
        return random(spec.m() * spec.n(), 3);
    }

    private static double[] numbersA(Operand a, Fp8Matmul product) {
        Fp8Spec spec = product.spec();
        return a.numbers(spec.aFormat(), product.scaling(), false, spec.m(), spec.k(), spec.paddedK());
    }

    private static double[] numbersB(Operand b, Fp8Matmul product) {
        Fp8Spec spec = product.spec();
        return b.numbers(spec.bFormat(), product.scaling(), spec.squares(), spec.n(), spec.k(), spec.paddedK());
    }

    /** Half a step of the mantissa; and of what is small beside the greatest, half the least number of the format. */
    private static void assertNear(float[] expected, double[] numbers, BlockFormat format) {
        double absmax = 0;
        for (float value : expected) {
            absmax = Math.max(absmax, Math.abs(value));
        }
        double relative = format == E4M3 ? 0x1p-4 : 0x1p-3;
        double least = format == E4M3 ? 0x1p-10 / 448 : 0x1p-17 / 57344;
        for (int i = 0; i < expected.length; i++) {
            double bound = (relative * Math.abs(expected[i]) + least * absmax) * 1.001;
            assertEquals(expected[i], numbers[i], bound, "element " + i);
        }
    }

    /** Sums of FP32: each of k products may be off by a rounding of the partial sum, at most that of all magnitudes. */
    private static void assertProduct(Fp8Spec spec, Fp8Matmul product, Product run) {
        double[] a = numbersA(run.a, product);
        double[] b = numbersB(run.b, product);
        float[] c = run.c.toFloatArray();
        float[] before = before(spec);
        int k = (int) spec.k();
        for (int i = 0; i < spec.m(); i++) {
            for (int j = 0; j < spec.n(); j++) {
                int at = i * (int) spec.n() + j;
                double sum = spec.accumulate() ? before[at] : 0;
                double magnitudes = Math.abs(sum);
                for (int l = 0; l < k; l++) {
                    double one = a[i * k + l] * b[j * k + l];
                    sum += one;
                    magnitudes += Math.abs(one);
                }
                double rounding = spec.cType() == ElementType.BF16 ? 0x1p-8 * 1.01 : 0x1p-24;
                // An accumulating product beside its place is rounded before it is added.
                double error = (k + 4) * 0x1p-24 * magnitudes
                        + rounding * (Math.abs(sum) + magnitudes * (spec.accumulate() ? 1 : 0));
                assertEquals(sum, c[at], error, "element " + i + ", " + j + " of " + spec);
            }
        }
    }

    private void assumeFp8() {
        assumeTrue(device.fp8().available(), device.fp8().sentence());
    }

    @ParameterizedTest
    @MethodSource("specs")
    void multipliesWhatIsInTheOperands(Fp8Spec spec) {
        assumeFp8();
        for (boolean transposed : new boolean[] {false, true}) {
            for (Fp8Spec wanted : new Fp8Spec[] {spec, adding(spec)}) {
                Product run = run(wanted, transposed);
                assertProduct(wanted, device.fp8Matmul(wanted), run);
            }
        }
    }

    @Test
    void scalesAreAsFineAsTheGpuTakesThem() {
        int capability = 10 * device.gpu().major() + device.gpu().minor();
        Fp8Support fp8 = device.fp8();
        if (capability < 89) {
            assertEquals(
                    "BF16 products instead of FP8: they need compute capability 8.9 (Ada) or newer, and this GPU has "
                            + device.gpu().major() + "." + device.gpu().minor(),
                    fp8.sentence());
            String message = assertThrows(
                            UnsupportedOperationException.class,
                            () -> device.fp8Matmul(spec(E4M3, E4M3, true, ElementType.F32, 16, 16, 16)))
                    .getMessage();
            assertEquals(fp8.sentence(), message);
            return;
        }
        Fp8Scaling finest = capability == 90 ? Fp8Scaling.BLOCKS : Fp8Scaling.TENSOR;
        assertEquals(finest, fp8.scaling());
        Fp8Spec spec = spec(E5M2, E4M3, false, ElementType.F32, 136, 132, 144);
        assertEquals(finest, device.fp8Matmul(spec).scaling());
        assertSame(device.fp8Matmul(spec), device.fp8Matmul(spec));
    }

    @Test
    void theSameOperandsGiveTheSameBits() {
        assumeFp8();
        Fp8Spec spec = spec(E4M3, E4M3, true, ElementType.F32, 136, 144, 272);
        assertArrayEquals(run(spec, false).c.toFloatArray(), run(spec, false).c.toFloatArray());
    }

    @Test
    void whatIsNotFiniteComesOutAsNan() {
        assumeFp8();
        Fp8Spec spec = spec(E4M3, E4M3, true, ElementType.F32, 16, 16, 16);
        Fp8Matmul product = device.fp8Matmul(spec);
        float[] x = random(256, 1);
        x[17] = Float.POSITIVE_INFINITY;
        Operand a = new Operand(spec.aCodes(), spec.aScales(), spec.paddedM());
        Operand b = new Operand(spec.bCodes(), spec.bScales(), spec.paddedN());
        product.codeA(a.operand, tensor(ElementType.F32, x).segment(), ElementType.F32, false);
        product.codeB(b.operand, tensor(ElementType.F32, random(256, 2)).segment(), ElementType.F32, false);
        Tensor c = tensor(ElementType.F32, 256);
        product.run(a.operand, b.operand, c.segment(), null);
        float[] values = c.toFloatArray();
        for (int j = 0; j < 16; j++) {
            assertTrue(Float.isNaN(values[16 + j]));
        }
    }

    @Test
    void anOperandThatHoldsSomethingElseIsRefused() {
        assumeFp8();
        Fp8Spec spec = spec(E4M3, E4M3, true, ElementType.F32, 16, 16, 16);
        Fp8Matmul product = device.fp8Matmul(spec);
        Operand a = new Operand(spec.aCodes(), spec.aScales(), spec.paddedM());
        Operand b = new Operand(spec.bCodes(), spec.bScales(), spec.paddedN());
        Tensor c = tensor(ElementType.F32, 256);
        String message = assertThrows(
                        IllegalStateException.class, () -> product.run(a.operand, b.operand, c.segment(), null))
                .getMessage();
        assertEquals(
                "the operand A of an FP8 product holds nothing; the product needs FP8_E4M3 16×16, padded to 16, coded"
                        + " by itself or by a product with the same operand",
                message);
        Tensor x = tensor(ElementType.F32, 256);
        device.fp8Matmul(spec(E5M2, E4M3, true, ElementType.F32, 16, 16, 16))
                .codeA(a.operand, x.segment(), ElementType.F32, false);
        product.codeB(b.operand, x.segment(), ElementType.F32, false);
        message = assertThrows(IllegalStateException.class, () -> product.run(a.operand, b.operand, c.segment(), null))
                .getMessage();
        assertTrue(message.contains("holds FP8_E5M2 16×16"), message);
    }

    @Test
    void aResultThatCannotBeWrittenInPlaceNeedsMemoryBesideIt() {
        assumeFp8();
        Fp8Spec spec = spec(E4M3, E4M3, true, ElementType.F32, 16, 15, 16);
        Fp8Matmul product = device.fp8Matmul(spec);
        Operand a = new Operand(spec.aCodes(), spec.aScales(), spec.paddedM());
        Operand b = new Operand(spec.bCodes(), spec.bScales(), spec.paddedN());
        Tensor x = tensor(ElementType.F32, 256);
        product.codeA(a.operand, x.segment(), ElementType.F32, false);
        product.codeB(b.operand, x.segment(), ElementType.F32, false);
        Tensor c = tensor(ElementType.F32, 240);
        String message = assertThrows(
                        IllegalArgumentException.class, () -> product.run(a.operand, b.operand, c.segment(), null))
                .getMessage();
        assertTrue(message.startsWith("C is 16×15 of F32") && message.contains("beside its place"), message);
    }

    @Test
    void whatCublasLtReportsIsNamed() {
        assumeFp8();
        assumeTrue(CudaTest.Condition.isEmulated(), "a GPU cannot be made to fail");
        Fp8Spec spec = spec(E4M3, E4M3, true, ElementType.F32, 16, 16, 16);
        Emulator.failNext("cublasLtCreate", 3);
        String message = assertThrows(NativeException.class, () -> device.fp8Matmul(spec))
                .getMessage();
        assertTrue(message.contains("cublasLtCreate"), message);
        // No algorithm, with either kind of scales.
        Emulator.failNext("cublasLtMatmulAlgoGetHeuristic", 15);
        if (device.fp8().scaling() == Fp8Scaling.BLOCKS) {
            assertEquals(Fp8Scaling.TENSOR, device.fp8Matmul(spec).scaling());
        } else {
            message = assertThrows(UnsupportedOperationException.class, () -> device.fp8Matmul(spec))
                    .getMessage();
            assertEquals(
                    "cublasLt has no FP8 product of 16×16×16 from FP8_E4M3 and FP8_E4M3 into F32; use BF16", message);
        }
        Product run = run(spec, false);
        Emulator.failNext("cublasLtMatmul", 13);
        message = assertThrows(
                        NativeException.class,
                        () -> device.fp8Matmul(spec).run(run.a.operand, run.b.operand, run.c.segment(), null))
                .getMessage();
        assertTrue(message.contains("cublasLtMatmul") && message.contains("CUBLAS_STATUS_EXECUTION_FAILED"), message);
    }

    @Test
    void wrongSpecificationsAreRefused() {
        assertEquals(
                "A and B are both FP8_E5M2; one of the two must be FP8_E4M3",
                assertThrows(IllegalArgumentException.class, () -> spec(E5M2, E5M2, true, ElementType.F32, 16, 16, 16))
                        .getMessage());
        assertEquals(
                "A is INT8_LINEAR; an FP8 product takes FP8_E4M3 or FP8_E5M2",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> spec(BlockFormat.INT8_LINEAR, E4M3, true, ElementType.F32, 16, 16, 16))
                        .getMessage());
        assertEquals(
                "C is I32; an FP8 product writes F32 or BF16",
                assertThrows(IllegalArgumentException.class, () -> spec(E4M3, E4M3, true, ElementType.I32, 16, 16, 16))
                        .getMessage());
        assertEquals(
                "k is 0; it must be from 1 to 2147483647",
                assertThrows(IllegalArgumentException.class, () -> spec(E4M3, E4M3, true, ElementType.F32, 16, 16, 0))
                        .getMessage());
    }
}
