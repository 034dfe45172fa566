package dev.muonium.ortho;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.Golden;
import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Polar factors on a CPU, by tasks. */
@Tag("tier")
class PolarFactorTest extends CpuPolarFactorContract {
    @Override
    protected List<NormConvention> norms() {
        return List.of(NormConvention.values());
    }

    /** The sum is taken in a fixed order, and U = 0 has no norm to divide by. */
    @Test
    void theGramNormIsTheSameForAnyNumberOfThreadsAndLeavesZeroAlone() {
        float[] u = gaussian(300 * 700, 5);
        for (Way way : List.of(Way.symmetric(), Way.gram())) {
            NewtonSchulz spec = FP32.norm(NormConvention.GRAM).way(way);
            float[] here = apply(device, spec, u, 300, 700);
            try (Device three = Device.cpu(3)) {
                assertArrayEquals(here, apply(three, spec, u, 300, 700), way.toString());
            }
            NewtonSchulz small = spec.epsilon(1e-30);
            assertArrayEquals(new float[20 * 30], apply(device, small, new float[20 * 30], 20, 30), way.toString());
        }
    }

    /** In bf16, whose Gram matrix is rounded, the largest singular value is still within what the safety factor allows. */
    @Test
    void theGramNormBoundsTheLargestSingularValue() {
        assumeBf16();
        NewtonSchulz identity = NewtonSchulz.defaults()
                .precision(ElementType.BF16)
                .norm(NormConvention.GRAM)
                .schedule(CoefficientSchedule.of("norm alone", List.of(new Coefficients(1, 0, 0))));
        for (int rank : List.of(1, 2, 40)) {
            double[] spike = new double[40 * 90];
            for (int r = 0; r < rank; r++) {
                float[] left = gaussian(40, r);
                float[] right = gaussian(90, 100 + r);
                for (int i = 0; i < spike.length; i++) {
                    spike[i] += left[i / 90] * right[i % 90];
                }
            }
            float[] u = new float[spike.length];
            for (int i = 0; i < u.length; i++) {
                u[i] = Bf16.toFloat(Bf16.fromFloat((float) spike[i]));
            }
            double[] x = widen(apply(device, identity, u, 40, 90));
            assertEquals(1, ReferenceNewtonSchulz.gramNorm(x, 40, 90), 0.008, "rank " + rank);
        }
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

    private void bind(MemorySegment workspace) {
        Iteration.bind(FP32, device, 3, 4, workspace);
    }

    /**
     * Four quintics that grow a rank-one matrix with noise by more than bf16 knows its Gram matrix to, without a restart: the way that
     * {@link Way.Gram} warns of.
     */
    private static NewtonSchulz unstable() {
        return NewtonSchulz.defaults()
                .precision(ElementType.BF16)
                .schedule(CoefficientSchedule.minimax(5, 0.0005))
                .norm(NormConvention.GRAM);
    }

    private static float[] nearlyOfRankOne(int rows, int cols, double noise) {
        float[] u = gaussian(rows * cols, 17);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                u[i * cols + j] = u[i * cols + j] * (float) noise + (float) (Math.cos(i) * Math.sin(1.7 * j));
            }
        }
        return u;
    }

    @Test
    void anIterationThatGoesWrongIsReplacedAndCounted() {
        assumeBf16();
        float[] u = nearlyOfRankOne(96, 160, 1e-3);
        float[] expected = apply(device, unstable().way(Way.symmetric()), u, 96, 160);
        try (Tensor in = f32(u);
                Tensor out = f32(new float[u.length]);
                PolarFactor polar = new PolarFactor(unstable().way(Way.gram(5)), device, 96, 160)) {
            polar.apply(in.segment(), ElementType.F32, out.segment(), ElementType.F32);
            assertEquals(1, polar.fallbacks());
            assertArrayEquals(expected, out.toFloatArray());
        }
        try (PolarFactor polar = new PolarFactor(NewtonSchulz.defaults().way(Way.gram()), device, 96, 160);
                Tensor in = f32(gaussian(u.length, 3))) {
            polar.apply(in.segment(), ElementType.F32, in.segment(), ElementType.F32);
            assertEquals(0, polar.fallbacks());
        }
    }

    /**
     * The default of Muon on inputs of every sort. Where U has directions in which there is next to nothing, bf16 fills them with rounding
     * noise that the steps then grow by a factor of about 600: the result is as far off there as an input in INT8 puts it.
     */
    @ParameterizedTest
    @MethodSource("goldenInputs")
    void theFourStepsStayWithTheReference(String file, String input) {
        try (Golden golden = Golden.open(file)) {
            int rows = (int) golden.number("rows");
            int cols = (int) golden.number("cols");
            double bound = Set.of("decay_1e-6", "rank_half").contains(input) ? 0.5 : input.equals("tiny") ? 0.02 : 0.25;
            assertFourSteps(golden.floats(input + ".input"), rows, cols, bound);
        }
    }

    @Test
    void theFourStepsStayWithTheReferenceOnASpike() {
        assertFourSteps(nearlyOfRankOne(64, 64, 0.01), 64, 64, 0.25);
        assertFourSteps(nearlyOfRankOne(192, 48, 0.01), 192, 48, 0.25);
        assertFourSteps(nearlyOfRankOne(60, 200, 0.01), 60, 200, 0.25);
    }

    private void assertFourSteps(float[] u, int rows, int cols, double bound) {
        NewtonSchulz fp32 = NewtonSchulz.fourSteps().precision(ElementType.F32);
        double[] reference = ReferenceNewtonSchulz.apply(fp32, widen(u), rows, cols);
        assertWithin(5e-5, apply(device, fp32.way(Way.plain()), u, rows, cols), reference, "plain");
        assertWithin(5e-5, apply(device, fp32.way(Way.symmetric()), u, rows, cols), reference, "symmetric");
        assertWithin(2e-3, apply(device, fp32.way(Way.gram(3)), u, rows, cols), reference, "gram/3");
        if (device.isFast(ElementType.BF16)) {
            NewtonSchulz bf16 = NewtonSchulz.fourSteps().precision(ElementType.BF16);
            assertWithin(bound, apply(device, bf16.way(Way.plain()), u, rows, cols), reference, "bf16 plain");
            assertWithin(bound, apply(device, bf16.way(Way.symmetric()), u, rows, cols), reference, "bf16 symmetric");
            assertWithin(bound, apply(device, bf16.way(Way.gram()), u, rows, cols), reference, "bf16 gram/2");
        }
    }
}
