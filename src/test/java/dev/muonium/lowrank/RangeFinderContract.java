package dev.muonium.lowrank;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The subspace that is found, against matrices whose singular vectors are known, and against subspace iteration in FP64. */
abstract class RangeFinderContract {
    Device device;

    protected abstract Device openDevice();

    @BeforeEach
    void open() {
        device = openDevice();
    }

    @AfterEach
    void close() {
        assertEquals(device.ledger().bytes(Purpose.WORKSPACE), device.ledger().total());
        device.close();
    }

    /** {@code smaller side × rank}, row-major. */
    float[] basis(float[] g, ElementType type, int rows, int cols, int rank) {
        Shape shape = Shape.of(rows, cols);
        double squares = 0;
        for (float each : g) {
            squares += (double) each * each;
        }
        try (Tensor gradient = device.allocate(Purpose.GRADIENTS, "g", type, shape);
                Tensor workspace = device.allocate(
                        Purpose.OPTIMIZER_WORKSPACE,
                        "workspace",
                        ElementType.F32,
                        Shape.of(LowRankMemory.workspaceElements(shape, rank)));
                Tensor found = device.allocate(
                        Purpose.OPTIMIZER_STATE, "p", ElementType.F32, Shape.of(Math.min(rows, cols), rank));
                RangeFinder finder = new RangeFinder(device, shape, rank, workspace.segment())) {
            gradient.copyFrom(g);
            GradientBands bands = new GradientBands(device, gradient.segment(), type, shape, rank, workspace.segment());
            MemorySegment basis = finder.basis(bands, Math.sqrt(squares), 5);
            device.memory().copy(basis, 0, found.segment(), 0, found.byteSize());
            return found.toFloatArray();
        }
    }

    private float[] basisOf(Spectrum spectrum, double scale, int rank) {
        return basis(spectrum.values(scale), ElementType.F32, spectrum.rows(), spectrum.cols(), rank);
    }

    private static void assertOrthonormal(float[] p, int rank) {
        double worst = 0;
        for (int i = 0; i < rank; i++) {
            for (int j = 0; j < rank; j++) {
                double dot = 0;
                for (int row = 0; row < p.length; row += rank) {
                    dot += (double) p[row + i] * p[row + j];
                }
                worst = Math.max(worst, Math.abs(dot - (i == j ? 1 : 0)));
            }
        }
        assertTrue(worst < 1e-5, "off from orthonormal by " + worst);
    }

    /** {@code ‖(I - PPᵀ)·x‖}, the sine of the angle between a unit vector and the subspace. */
    private static double sine(float[] p, int rank, double[] x) {
        double[] rest = x.clone();
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < rank; k++) {
                double dot = 0;
                for (int i = 0; i < rest.length; i++) {
                    dot += p[i * rank + k] * rest[i];
                }
                for (int i = 0; i < rest.length; i++) {
                    rest[i] -= dot * p[i * rank + k];
                }
            }
        }
        return Math.sqrt(Arrays.stream(rest).map(each -> each * each).sum());
    }

    /** Every leading singular vector, to what FP32 leaves of it beside the largest one. */
    private static void assertLeading(Spectrum spectrum, float[] p, int rank, double tolerance) {
        double[][] exact = spectrum.onSmallerSide();
        double largest = Arrays.stream(spectrum.sizes()).max().orElse(0);
        for (int k = 0; k < Math.min(rank, exact.length); k++) {
            double sine = sine(p, rank, exact[k]);
            double size = spectrum.sizes()[k];
            assertTrue(
                    sine * size <= tolerance * largest,
                    "singular vector " + k + " of size " + size + " is off " + sine);
        }
    }

    /** {@code ‖PᵀG‖²} as a part of {@code ‖G‖²}, FP64. */
    private static double energy(Spectrum spectrum, float[] p, int rank) {
        double captured = 0;
        double all = 0;
        for (int k = 0; k < spectrum.sizes().length; k++) {
            double square = spectrum.sizes()[k] * spectrum.sizes()[k];
            double sine = sine(p, rank, spectrum.onSmallerSide()[k]);
            captured += square * (1 - sine * sine);
            all += square;
        }
        return captured / all;
    }

    /** Behind the rank the spectrum falls to a hundredth: the subspace is what FP32 can tell of it. */
    private static double[] withGap(int count, int rank, double ratio) {
        double[] sizes = Spectrum.geometric(count, 1, ratio);
        for (int k = rank; k < count; k++) {
            sizes[k] *= 0.01;
        }
        return sizes;
    }

    @ParameterizedTest
    @CsvSource({
        "40, 90, 8, 0.8",
        "90, 40, 8, 0.8",
        "64, 64, 16, 0.9",
        "30, 50, 29, 0.95",
        "33, 47, 12, 0.3",
        "50, 20, 20, 0.5",
        "1, 9, 1, 1",
        "7, 1, 1, 1"
    })
    void theSubspaceIsTheExactOne(int rows, int cols, int rank, double ratio) {
        Spectrum spectrum = Spectrum.of(1, rows, cols, withGap(Math.min(rows, cols), rank, ratio));
        float[] p = basisOf(spectrum, 1, rank);
        assertOrthonormal(p, rank);
        assertLeading(spectrum, p, rank, 5e-6);
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-37, 1e-30, 1e-20, 1e-10, 1, 1e10, 1e20, 1e30, 1e37})
    void theSizeOfTheGradientDoesNotMatter(double scale) {
        Spectrum spectrum = Spectrum.of(2, 30, 50, withGap(30, 6, 0.7));
        float[] p = basisOf(spectrum, scale, 6);
        assertOrthonormal(p, 6);
        assertLeading(spectrum, p, 6, 5e-6);
    }

    /** Values that FP32 itself has few bits of. */
    @Test
    void aGradientOfSubnormalNumbersHasAProjection() {
        assertOrthonormal(basisOf(Spectrum.of(2, 30, 50, withGap(30, 6, 0.7)), 1e-41, 6), 6);
    }

    /** Nothing leads: any subspace has r of s parts, and none may have lost a column. */
    @ParameterizedTest
    @CsvSource({"40, 90, 8", "64, 64, 16", "30, 20, 20"})
    void aFlatSpectrumLosesNothing(int rows, int cols, int rank) {
        int small = Math.min(rows, cols);
        Spectrum spectrum = Spectrum.of(3, rows, cols, Spectrum.geometric(small, 1, 1));
        float[] p = basisOf(spectrum, 1, rank);
        assertOrthonormal(p, rank);
        assertEquals((double) rank / small, energy(spectrum, p, rank), 1e-5);
    }

    /** As much as subspace iteration in FP64 from another sketch finds of a spectrum that has no gap. */
    @ParameterizedTest
    @CsvSource({"40, 90, 8, 0.8", "90, 40, 12, 0.9", "64, 64, 16, 0.97"})
    void aDecayingSpectrumIsFoundAsWellAsInFp64(int rows, int cols, int rank, double ratio) {
        Spectrum spectrum = Spectrum.of(4, rows, cols, Spectrum.geometric(Math.min(rows, cols), 1, ratio));
        float[] p = basisOf(spectrum, 1, rank);
        assertOrthonormal(p, rank);
        double found = energy(spectrum, p, rank);
        double reference = energy(spectrum, ReferenceRangeFinder.basis(spectrum, rank, 2), rank);
        assertTrue(found > 0.99 * reference, found + " of " + reference);
    }

    /** A millionth of the first, and the columns of the sketch are almost one column. */
    @ParameterizedTest
    @ValueSource(doubles = {1e2, 1e4, 1e6, 1e8})
    void aSpikeHidesNoMoreThanFp32Does(double spike) {
        double[] sizes = withGap(40, 9, 0.9);
        sizes[0] = spike;
        Spectrum spectrum = Spectrum.of(5, 40, 70, sizes);
        float[] p = basisOf(spectrum, 1, 9);
        assertOrthonormal(p, 9);
        assertLeading(spectrum, p, 9, 5e-6);
    }

    @ParameterizedTest
    @CsvSource({"30, 50, 7, 2", "50, 30, 30, 1", "40, 40, 25, 24", "300, 520, 100, 3"})
    void aGradientOfLowerRankIsFoundAndTheRestIsOrthonormal(int rows, int cols, int rank, int terms) {
        Spectrum spectrum = Spectrum.of(6, rows, cols, Spectrum.geometric(terms, 1, 0.9));
        float[] p = basisOf(spectrum, 1, rank);
        assertOrthonormal(p, rank);
        assertLeading(spectrum, p, rank, 5e-6);
    }

    /** Zeros stay exactly 0 in every product: rounding makes no columns of them. */
    @ParameterizedTest
    @CsvSource({"30, 50, 7", "50, 30, 30", "12, 12, 12", "2, 2, 2"})
    void oneEntryThatIsNotZero(int rows, int cols, int rank) {
        for (float size : new float[] {7, -1e-30f, 1e30f}) {
            float[] g = new float[rows * cols];
            int row = 1;
            int col = 1;
            g[row * cols + col] = size;
            float[] p = basis(g, ElementType.F32, rows, cols, rank);
            assertOrthonormal(p, rank);
            double[] unit = new double[Math.min(rows, cols)];
            unit[1] = 1;
            assertTrue(sine(p, rank, unit) < 1e-6, "the row of the entry is in the subspace");
        }
    }

    /** In bands of rows, more than one. */
    @ParameterizedTest
    @CsvSource({"300, 1100, 5", "1100, 300, 5"})
    void aBf16GradientHasTheSubspaceOfItsValues(int rows, int cols, int rank) {
        assertTrue(LowRankMemory.bandRows(Shape.of(rows, cols), rank) < rows);
        Spectrum spectrum = Spectrum.of(7, rows, cols, withGap(12, rank, 0.9));
        float[] g = spectrum.values(1);
        for (int i = 0; i < g.length; i++) {
            g[i] = Bf16.toFloat(Bf16.fromFloat(g[i]));
        }
        float[] wide = basis(g, ElementType.F32, rows, cols, rank);
        float[] narrow = basis(g, ElementType.BF16, rows, cols, rank);
        assertOrthonormal(narrow, rank);
        for (int k = 0; k < rank; k++) {
            double[] column = new double[Math.min(rows, cols)];
            for (int i = 0; i < column.length; i++) {
                column[i] = wide[i * rank + k];
            }
            assertTrue(sine(narrow, rank, column) < 1e-4, "column " + k);
        }
    }

    @Test
    void theSameInputGivesTheSameBits() {
        Random random = new Random(8);
        float[] g = new float[200 * 300];
        for (int i = 0; i < g.length; i++) {
            g[i] = (float) random.nextGaussian();
        }
        float[] first = basis(g, ElementType.F32, 200, 300, 40);
        long held = device.ledger().total();
        assertArrayEquals(first, basis(g, ElementType.F32, 200, 300, 40));
        assertEquals(held, device.ledger().total(), "bytes that a search leaves behind");
    }
}
