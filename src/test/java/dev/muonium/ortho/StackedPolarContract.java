package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the launches over several matrices promise on every device: every kind of symmetric product, stacks, sentences. */
abstract class StackedPolarContract {
    private static final NewtonSchulz FP32 = PolarFactorContract.FP32;

    private Device device;

    /** The device to test. */
    protected abstract Device openDevice();

    @BeforeEach
    void open() {
        device = openDevice();
    }

    @AfterEach
    void close() {
        device.close();
        assertEquals(0, device.ledger().total(), "bytes left in the ledger");
    }

    private PolarFactor polar(NewtonSchulz spec, SquareProducts squares, long rows, long cols, int together) {
        return new PolarFactor(device, rows, cols, new StackedPolar(spec, device, squares, rows, cols, together));
    }

    private PolarFactor polar(NewtonSchulz spec, long rows, long cols, int together) {
        return polar(spec, new SquareProducts.HalfWork(), rows, cols, together);
    }

    private float[] apply(NewtonSchulz spec, SquareProducts squares, float[] u, int rows, int cols) {
        try (Tensor x = f32(u);
                PolarFactor polar = polar(spec, squares, rows, cols, 1)) {
            polar.apply(x.segment(), ElementType.F32, x.segment(), ElementType.F32);
            return x.toFloatArray();
        }
    }

    private Tensor f32(float[] values) {
        Tensor tensor = device.allocate(Purpose.DATA, "values", ElementType.F32, Shape.of(values.length));
        tensor.copyFrom(values);
        return tensor;
    }

    /** 300 rows are three panels of 128; 130 with four panels wanted are two. */
    @Test
    void everyKindOfSymmetricProductMatchesTheReference() {
        for (String choice : List.of("kernel", "panels/2", "panels/4", "full")) {
            SquareProducts squares = SquareProducts.parse(choice);
            for (int[] shape : new int[][] {{300, 320}, {130, 200}, {200, 130}, {40, 9}}) {
                float[] u = PolarFactorContract.gaussian(shape[0] * shape[1], 17);
                double[] reference =
                        ReferenceNewtonSchulz.apply(FP32, PolarFactorContract.widen(u), shape[0], shape[1]);
                String what = choice + " of " + shape[0] + "×" + shape[1];
                PolarFactorContract.assertWithin(
                        1e-5, apply(FP32.way(Way.symmetric()), squares, u, shape[0], shape[1]), reference, what);
                PolarFactorContract.assertWithin(
                        2e-4, apply(FP32.way(Way.gram(3)), squares, u, shape[0], shape[1]), reference, what);
            }
        }
    }

    @Test
    void theChoiceOfSymmetricProductsIsReadFromItsName() {
        assertEquals(new SquareProducts.HalfWork(), SquareProducts.parse(" Kernel "));
        assertEquals(new SquareProducts.Full(), SquareProducts.parse("full"));
        assertEquals(new SquareProducts.Panels(3), SquareProducts.parse("panels/3"));
        assertEquals("panels/3", SquareProducts.parse("panels/3").toString());
        PolarFactorContract.assertMessage(
                "muonium.squares is 'syrk'; kernel, panels/N", () -> SquareProducts.parse("syrk"));
        PolarFactorContract.assertMessage(
                "has 1 panels; it must have from 2 to 64", () -> SquareProducts.parse("panels/1"));
    }

    /** Of five matrices, three and then two: the results do not depend on which are together, nor on the one that is zero. */
    @Test
    void stacksAreWorkedOnSeveralAtATime() {
        int rows = 40;
        int cols = 24;
        int size = rows * cols;
        for (Way way : List.of(Way.plain(), Way.symmetric(), Way.gram(2))) {
            NewtonSchulz spec = FP32.way(way);
            float[] all = PolarFactorContract.gaussian(5 * size, 23);
            Arrays.fill(all, size, 2 * size, 0);
            for (int i = 3 * size; i < 4 * size; i++) {
                all[i] *= 1e-12f;
            }
            try (Tensor u = f32(all);
                    Tensor out = f32(new float[5 * size]);
                    PolarFactor polar = polar(spec, rows, cols, 3)) {
                polar.applyToStack(
                        5, u.segment(), ElementType.F32, cols, size, out.segment(), ElementType.F32, cols, size);
                float[] result = out.toFloatArray();
                for (int i = 0; i < 5; i++) {
                    float[] one = Arrays.copyOfRange(all, i * size, (i + 1) * size);
                    assertSame(
                            apply(spec, new SquareProducts.HalfWork(), one, rows, cols),
                            Arrays.copyOfRange(result, i * size, (i + 1) * size),
                            way + ", matrix " + i);
                }
            }
        }
    }

    /** To the bit, unless it is cuBLAS that may choose another kernel for another number of products. */
    private void assertSame(float[] expected, float[] actual, String what) {
        if (device.memory().isHost()) {
            assertArrayEquals(expected, actual, what);
            return;
        }
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], actual[i], 1e-5, what);
        }
    }

    @Test
    void aMatrixThatIsNotFiniteIsRefusedBeforeAnythingOfItsBatchIsWritten() {
        float[] values = PolarFactorContract.gaussian(3 * 12, 3);
        values[30] = Float.POSITIVE_INFINITY;
        try (Tensor u = f32(values);
                Tensor out = f32(new float[36]);
                PolarFactor polar = polar(FP32, 3, 4, 3)) {
            PolarFactorContract.assertMessage(
                    "a matrix of 3×4 holds NaN or an infinity",
                    () -> polar.applyToStack(
                            3, u.segment(), ElementType.F32, 4, 12, out.segment(), ElementType.F32, 4, 12));
            assertArrayEquals(new float[36], out.toFloatArray());
            u.setFloat(30, 1);
            polar.applyToStack(3, u.segment(), ElementType.F32, 4, 12, out.segment(), ElementType.F32, 4, 12);
            for (float value : out.toFloatArray()) {
                assertTrue(Float.isFinite(value));
            }
        }
    }

    @Test
    void aStackOfNoneAtATimeIsRefused() {
        PolarFactorContract.assertMessage(
                "0 matrices of a stack are to be worked on at a time", () -> new PolarFactor(FP32, device, 3, 4, 0));
        try (Tensor workspace = f32(new float[1024])) {
            PolarFactorContract.assertMessage(
                    "is for 0 matrices of 3×4; it must be for 1 to",
                    () -> BatchedNewtonSchulz.bind(FP32, device, 3, 4, 0, workspace.segment()));
        }
    }

    @Test
    void theNormOfTheGramMatrixIsRefused() {
        try (Tensor workspace = f32(new float[1024])) {
            PolarFactorContract.assertMessage(
                    "cannot divide by the norm of the Gram matrix",
                    () -> BatchedNewtonSchulz.bind(
                            FP32.norm(NormConvention.GRAM), device, 3, 4, 1, workspace.segment()));
        }
    }

    /** What an iteration for n matrices takes is n times what one takes, so that a plan can divide a cap by it. */
    @Test
    void theWorkspaceGrowsWithTheNumberOfMatrices() {
        NewtonSchulz symmetric = FP32.way(Way.symmetric());
        assertEquals(
                2 * 64 * 256 * 4 + 2 * 64 * 64 * 4, BatchedNewtonSchulz.workspaceBytes(symmetric, device, 64, 256));
        assertEquals(
                2 * 64 * 256 * 4 + 4 * 64 * 64 * 4,
                BatchedNewtonSchulz.workspaceBytes(FP32.way(Way.gram()), device, 64, 256));
        assertEquals(4 * 256, BatchedNewtonSchulz.workspaceBytes(symmetric, device, 3, 4));
        PolarFactorContract.assertMessage(
                "more bytes than a 64-bit count can hold",
                () -> BatchedNewtonSchulz.workspaceBytes(symmetric, device, 3_000_000_000L, 3_000_000_000L));
        try (Tensor workspace = f32(new float[64 * 3 - 1])) {
            PolarFactorContract.assertMessage(
                    "'the workspace of a Newton-Schulz iteration for 3 of 3×4'",
                    () -> BatchedNewtonSchulz.bind(symmetric, device, 3, 4, 3, workspace.segment()));
        }
    }
}
