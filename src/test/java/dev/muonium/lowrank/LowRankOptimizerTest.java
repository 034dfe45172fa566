package dev.muonium.lowrank;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.LearningRateAdjustment;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.WeightRounding;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LowRankOptimizerTest {
    /** A matrix under GaLore, and everything around it. */
    private static final class Fixture implements AutoCloseable {
        final Device device;
        final Optimizer optimizer;
        final LowRankOptimizer lowRank;
        final Tensor weights;
        final Tensor gradient;

        Fixture(int threads, long rows, long cols, GroupSpec group, GaLore settings) {
            device = Device.cpu(threads);
            optimizer = Optimizer.builder(device).group(group).build();
            lowRank = new LowRankOptimizer(device, optimizer, settings, WeightRounding.STOCHASTIC);
            weights = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(rows, cols));
            gradient = device.allocate(Purpose.GRADIENTS, "g", ElementType.F32, Shape.of(rows, cols));
            Random random = new Random(1);
            for (int i = 0; i < weights.elements(); i++) {
                weights.setFloat(i, (float) random.nextGaussian());
            }
            lowRank.add(weights, group.name());
        }

        void step(float[]... microBatches) {
            lowRank.zero();
            for (float[] values : microBatches) {
                gradient.copyFrom(values);
                lowRank.accumulate("w", gradient.segment(), ElementType.F32);
            }
            lowRank.step();
        }

        float[] projection() {
            Projection projection = lowRank.projections().getFirst();
            return projection.values().toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT);
        }

        @Override
        public void close() {
            optimizer.close();
            lowRank.close();
            weights.close();
            gradient.close();
            assertEquals(
                    device.ledger().bytes(Purpose.WORKSPACE), device.ledger().total());
            device.close();
        }
    }

    private static float[] noise(Random random, int elements) {
        float[] values = new float[elements];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** {@code Σ_k 0.8^k u_k v_kᵀ} of random directions: a spectrum that decays as gradients' do. */
    private static float[] decaying(Random random, int rows, int cols) {
        return decaying(random, rows, cols, Math.min(rows, cols));
    }

    private static float[] decaying(Random random, int rows, int cols, int terms) {
        double[][] u = new double[terms][];
        double[][] v = new double[terms][];
        float[] values = new float[rows * cols];
        for (int k = 0; k < terms; k++) {
            u[k] = unit(random, rows, u, k);
            v[k] = unit(random, cols, v, k);
            double size = Math.pow(0.8, k);
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < cols; j++) {
                    values[i * cols + j] += (float) (size * u[k][i] * v[k][j]);
                }
            }
        }
        return values;
    }

    private static double[] unit(Random random, int n, double[][] others, int count) {
        double[] x = random.doubles(n, -1, 1).toArray();
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < count; k++) {
                double dot = 0;
                for (int i = 0; i < n; i++) {
                    dot += x[i] * others[k][i];
                }
                for (int i = 0; i < n; i++) {
                    x[i] -= dot * others[k][i];
                }
            }
        }
        double norm = 0;
        for (double each : x) {
            norm += each * each;
        }
        for (int i = 0; i < n; i++) {
            x[i] /= Math.sqrt(norm);
        }
        return x;
    }

    private static double orthogonalityError(float[] p, int rank) {
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
        return worst;
    }

    private static double projectedEnergy(float[] p, int rank, float[] g, int rows, int cols) {
        boolean left = rows <= cols;
        double energy = 0;
        for (int k = 0; k < rank; k++) {
            for (int other = 0; other < (left ? cols : rows); other++) {
                double dot = 0;
                for (int i = 0; i < (left ? rows : cols); i++) {
                    dot += (double) p[i * rank + k] * (left ? g[i * cols + other] : g[other * cols + i]);
                }
                energy += dot * dot;
            }
        }
        return energy;
    }

    @ParameterizedTest
    @CsvSource({"40, 90, 8", "90, 40, 8", "64, 64, 16", "300, 520, 24", "30, 50, 30"})
    void theProjectionHasWhatTheBestOneHas(int rows, int cols, int rank) {
        float[] g = decaying(new Random(2), rows, cols);
        double best = 0;
        for (int k = 0; k < rank; k++) {
            best += Math.pow(0.8, 2 * k);
        }
        try (Fixture f = new Fixture(2, rows, cols, Muon.defaults(), GaLore.ofRank(rank))) {
            f.step(g);
            assertTrue(orthogonalityError(f.projection(), rank) < 1e-5);
            double energy = projectedEnergy(f.projection(), rank, g, rows, cols);
            assertTrue(energy > 0.99 * best && energy < 1.0001 * best, energy + " of " + best);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {1e-30f, 1e30f, 1})
    void theProjectionDoesNotDependOnTheSizeOfTheGradient(float size) {
        float[] g = decaying(new Random(2), 30, 50);
        for (int i = 0; i < g.length; i++) {
            g[i] *= size;
        }
        try (Fixture f = new Fixture(1, 30, 50, AdamW.defaults(), GaLore.ofRank(5))) {
            f.lowRank.zero();
            f.gradient.copyFrom(g);
            f.lowRank.accumulate("w", f.gradient.segment(), ElementType.F32);
            assertTrue(orthogonalityError(f.projection(), 5) < 1e-5);
            double[] exact = new double[1];
            for (float value : g) {
                exact[0] += (double) (value / size) * (value / size);
            }
            for (int i = 0; i < g.length; i++) {
                g[i] /= size;
            }
            assertTrue(projectedEnergy(f.projection(), 5, g, 30, 50) > 0.85 * exact[0]);
        }
    }

    @Test
    void aGradientOfLowerRankStillGivesAProjection() {
        float[] g = new float[30 * 50];
        for (int i = 0; i < g.length; i++) {
            g[i] = i % 50 * (i / 50 - 3);
        }
        try (Fixture f = new Fixture(1, 30, 50, Muon.defaults(), GaLore.ofRank(7))) {
            f.step(g);
            assertTrue(orthogonalityError(f.projection(), 7) < 1e-5);
        }
    }

    @Test
    void aGradientThatIsZeroOrNotFiniteLeavesEverythingAsItIs() {
        float[] nan = new float[30 * 50];
        nan[7] = Float.NaN;
        try (Fixture f = new Fixture(1, 30, 50, Muon.defaults().weightDecay(0), GaLore.ofRank(7))) {
            float[] before = f.weights.toFloatArray();
            f.step(nan);
            assertArrayEquals(before, f.weights.toFloatArray());
            assertEquals(-1, f.lowRank.projections().getFirst().lookedAt());
            f.step(new float[30 * 50]);
            assertArrayEquals(before, f.weights.toFloatArray());
            f.step(decaying(new Random(1), 30, 50));
            float[] projection = f.projection();
            f.step(nan);
            assertArrayEquals(projection, f.projection());
            for (float weight : f.weights.toFloatArray()) {
                assertTrue(Float.isFinite(weight));
            }
        }
    }

    /** With the whole space and α = 1, Muon's update P·NS(Pᵀu) is NS(u), and AdamW's is another one. */
    @ParameterizedTest
    @CsvSource({"24, 40", "40, 24", "24, 24"})
    void theWholeSpaceIsPlainMuon(int rows, int cols) {
        Muon muon = Muon.defaults()
                .state(StateFormat.FP32)
                .adjustment(LearningRateAdjustment.ORIGINAL)
                .weightDecay(0.3);
        Random random = new Random(3);
        try (Fixture f = new Fixture(
                        2,
                        rows,
                        cols,
                        muon,
                        GaLore.ofRank(Math.min(rows, cols))
                                .scale(1)
                                .refreshInterval(2)
                                .turnThreshold(0));
                Tensor plain = f.device.allocate(Purpose.WEIGHTS, "plain", ElementType.F32, Shape.of(rows, cols));
                Tensor sum = f.device.allocate(Purpose.GRADIENTS, "sum", ElementType.F32, Shape.of(rows, cols));
                Optimizer optimizer = Optimizer.builder(f.device).group(muon).build()) {
            plain.copyFrom(f.weights.toFloatArray());
            optimizer.add(Parameter.of(ParameterKind.MATRIX, plain, sum));
            for (int step = 0; step < 5; step++) {
                float[] first = noise(random, rows * cols);
                float[] second = noise(random, rows * cols);
                f.step(first, second);
                float[] both = new float[first.length];
                for (int i = 0; i < both.length; i++) {
                    both[i] = first[i] + second[i];
                }
                sum.copyFrom(both);
                optimizer.step();
            }
            float[] expected = plain.toFloatArray();
            float[] weights = f.weights.toFloatArray();
            double error = 0;
            double moved = 0;
            for (int i = 0; i < weights.length; i++) {
                error += Math.pow(weights[i] - expected[i], 2);
                moved += Math.pow(expected[i], 2);
            }
            assertTrue(Math.sqrt(error / moved) < 2e-2, "off by " + Math.sqrt(error / moved));
        }
    }

    /** FP64, from the formulas: P is taken from the fixture, everything else is computed here. */
    @Test
    void aStepOfAdamWIsTheFormula() {
        int rows = 20;
        int cols = 30;
        int rank = 4;
        double lr = 0.01;
        AdamW adamW = AdamW.defaults().state(StateFormat.FP32).learningRate(lr).weightDecay(0.1);
        float[] g = noise(new Random(4), rows * cols);
        try (Fixture f = new Fixture(1, rows, cols, adamW, GaLore.ofRank(rank).scale(0.5))) {
            float[] before = f.weights.toFloatArray();
            f.step(g);
            float[] p = f.projection();
            float[] after = f.weights.toFloatArray();
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < cols; j++) {
                    double update = 0;
                    for (int k = 0; k < rank; k++) {
                        double projected = 0;
                        for (int row = 0; row < rows; row++) {
                            projected += (double) p[row * rank + k] * g[row * cols + j];
                        }
                        // The first step of Adam: m̂/√v̂ is the sign.
                        update += p[i * rank + k] * projected / (Math.abs(projected) + adamW.epsilon());
                    }
                    double expected = before[i * cols + j] * (1 - lr * 0.1) - lr * 0.5 * update;
                    assertEquals(expected, after[i * cols + j], 1e-5);
                }
            }
        }
    }

    /** After a turn of the subspace the state is that of the same gradients seen from the new one. */
    @ParameterizedTest
    @ValueSource(strings = {"FP32", "INT8"})
    void momentumIsCarriedOver(String format) {
        int rank = 6;
        Muon muon = Muon.defaults().state(StateFormat.valueOf(format));
        try (Fixture f = new Fixture(
                2, 30, 256, muon, GaLore.ofRank(rank).refreshInterval(1).turnThreshold(0))) {
            // Of no higher rank than the projection: both subspaces are the same, seen from two bases.
            float[] g = decaying(new Random(5), 30, 256, rank);
            f.step(g);
            float[] p = f.projection();
            float[] m = momentum(f);
            f.lowRank.zero();
            f.gradient.copyFrom(g);
            f.lowRank.accumulate("w", f.gradient.segment(), ElementType.F32);
            float[] turned = f.projection();
            float[] carried = momentum(f);
            double error = 0;
            double size = 0;
            for (int i = 0; i < 30; i++) {
                for (int j = 0; j < 256; j++) {
                    double old = 0;
                    double now = 0;
                    for (int k = 0; k < rank; k++) {
                        old += p[i * rank + k] * m[k * 256 + j];
                        now += turned[i * rank + k] * carried[k * 256 + j];
                    }
                    error += (old - now) * (old - now);
                    size += old * old;
                }
            }
            assertTrue(Math.sqrt(error / size) < 0.05, "in full rank it is off by " + Math.sqrt(error / size));
        }
    }

    private static float[] momentum(Fixture f) {
        var state = f.optimizer.state("w").tensor("momentum_buffer");
        float[] values = new float[(int) state.elements()];
        try (Tensor out = f.device.allocate(Purpose.WORKSPACE, "m", ElementType.F32, Shape.of(values.length))) {
            if (state.scales() == null) {
                java.lang.foreign.MemorySegment.copy(state.codes(), 0, out.segment(), 0, out.byteSize());
            } else {
                f.device
                        .kernels()
                        .dequantize(
                                state.format(),
                                state.block(),
                                state.codes(),
                                state.scales(),
                                out.segment(),
                                ElementType.F32,
                                0,
                                values.length);
            }
            return out.toFloatArray();
        }
    }

    @Test
    void secondMomentsStayPositive() {
        AdamW adamW = AdamW.defaults().state(StateFormat.INT8).learningRate(0.01);
        try (Fixture f = new Fixture(
                2, 40, 70, adamW, GaLore.ofRank(9).refreshInterval(1).turnThreshold(0))) {
            Random random = new Random(7);
            for (int step = 0; step < 6; step++) {
                f.step(noise(random, 40 * 70));
                for (float weight : f.weights.toFloatArray()) {
                    assertTrue(Math.abs(weight) < 10, "weights stay where they are: " + weight);
                }
            }
        }
    }

    @Test
    void aSubspaceThatHasNotTurnedStays() {
        try (Fixture f =
                new Fixture(1, 30, 50, Muon.defaults(), GaLore.ofRank(5).refreshInterval(2))) {
            float[] g = decaying(new Random(8), 30, 50);
            f.step(g);
            float[] first = f.projection();
            f.step(g);
            f.step(g);
            assertArrayEquals(first, f.projection());
            assertEquals(2, f.lowRank.projections().getFirst().lookedAt());
            f.step(g);
            f.step(noise(new Random(9), 30 * 50));
            float[] turned = f.projection();
            assertTrue(!java.util.Arrays.equals(first, turned), "another gradient turns it");
        }
    }

    @Test
    void bitsDoNotDependOnTheNumberOfThreads() {
        List<float[]> results = new ArrayList<>();
        for (int threads = 1; threads <= 3; threads++) {
            try (Fixture f = new Fixture(
                    threads,
                    300,
                    520,
                    Muon.defaults(),
                    GaLore.ofRank(20).refreshInterval(1).turnThreshold(0))) {
                Random random = new Random(10);
                f.step(noise(random, 300 * 520));
                f.step(noise(random, 300 * 520), noise(random, 300 * 520));
                results.add(f.weights.toFloatArray());
            }
        }
        assertArrayEquals(results.get(0), results.get(1));
        assertArrayEquals(results.get(0), results.get(2));
    }

    @Test
    void aStepAllocatesNothingUnlessItRefreshes() {
        try (Fixture f = new Fixture(1, 30, 50, Muon.defaults(), GaLore.ofRank(5))) {
            float[] g = decaying(new Random(8), 30, 50);
            f.step(g);
            long allocations = f.device.ledger().allocations();
            f.step(g);
            assertEquals(allocations, f.device.ledger().allocations());
        }
    }

    @Test
    void mistakesAreNamed() {
        try (Fixture f = new Fixture(1, 30, 50, Muon.defaults(), GaLore.ofRank(5));
                Tensor small = f.device.allocate(Purpose.WEIGHTS, "small", ElementType.F32, Shape.of(4, 60));
                Tensor vector = f.device.allocate(Purpose.WEIGHTS, "vector", ElementType.F32, Shape.of(60))) {
            assertEquals(
                    "the rank is 5 and 'small' is 4×60; the rank must be at most the smaller side, 4",
                    message(() -> f.lowRank.add(small, "muon")));
            assertEquals(
                    "'vector' has the shape 60; only matrices (rows × cols) can be projected",
                    message(() -> f.lowRank.add(vector, "muon")));
            assertEquals(
                    "no matrix 'x' is projected; there are [w]",
                    message(() -> f.lowRank.accumulate("x", f.gradient.segment(), ElementType.F32)));
            assertTrue(message(() -> f.lowRank.accumulate("w", small.segment(), ElementType.F32))
                    .contains("'w (gradient)'"));
        }
        assertThrows(IllegalArgumentException.class, () -> GaLore.ofRank(0));
        assertThrows(IllegalArgumentException.class, () -> GaLore.ofRank(1).scale(0));
        assertThrows(IllegalArgumentException.class, () -> GaLore.ofRank(1).refreshInterval(0));
        assertThrows(IllegalArgumentException.class, () -> GaLore.ofRank(1).turnThreshold(Double.NaN));
    }

    private static String message(org.junit.jupiter.api.function.Executable call) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, call).getMessage());
    }
}
