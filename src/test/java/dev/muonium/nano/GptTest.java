package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.nano.GptConfig.Mlp;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class GptTest {
    private static final int VOCAB = 11;
    private static final int BATCH = 2;

    /** Both MLPs, heads alone and in groups, tied and untied, with a cap that bites and without; nothing a multiple of 16. */
    static Stream<GptConfig> smallShapes() {
        List<GptConfig> shapes = new ArrayList<>();
        for (Mlp mlp : Mlp.values()) {
            for (int kvHeads : new int[] {4, 2, 1}) {
                for (boolean tied : new boolean[] {false, true}) {
                    for (double cap : new double[] {0, 2}) {
                        shapes.add(new GptConfig(VOCAB, 2, 10, 4, kvHeads, 6, mlp, 14, 5, tied, cap, 100, 1e-5));
                    }
                }
            }
        }
        return shapes.stream();
    }

    /** Contexts that make several blocks of queries and tiles of rows, the last ones short. */
    static Stream<GptConfig> longShapes() {
        return Stream.of(
                new GptConfig(VOCAB, 2, 10, 2, 1, 6, Mlp.RELU2, 14, 150, false, 5, 100, 1e-5),
                new GptConfig(VOCAB, 1, 10, 2, 2, 6, Mlp.GATED, 14, 128, true, 5, 100, 1e-5));
    }

    /** A model with random weights everywhere (also where training begins with zeros), a batch, and both in double. */
    private static final class Fixture implements AutoCloseable {
        final GptConfig config;
        final Device device;
        final Gpt gpt;
        final Tensor tokens;
        final Tensor targets;
        final int[][] tokenRows;
        final int[][] targetRows;
        final double[][] weights;

        Fixture(GptConfig config, int threads) {
            this.config = config;
            this.device = Device.cpu(threads);
            this.gpt = new Gpt(device, config, BATCH, 7);
            Random random = new Random(3);
            this.weights = new double[gpt.parameters().size()][];
            for (int p = 0; p < weights.length; p++) {
                Tensor tensor = gpt.parameters().get(p).weights();
                weights[p] = new double[(int) tensor.elements()];
                for (int i = 0; i < weights[p].length; i++) {
                    tensor.setFloat(i, (float) (0.4 * random.nextGaussian()));
                    weights[p][i] = tensor.getFloat(i);
                }
            }
            this.tokenRows = rows(random);
            this.targetRows = rows(random);
            this.tokens = store("tokens", tokenRows);
            this.targets = store("targets", targetRows);
        }

        private int[][] rows(Random random) {
            int[][] rows = new int[BATCH][config.context()];
            for (int[] row : rows) {
                for (int t = 0; t < row.length; t++) {
                    row[t] = random.nextInt(VOCAB - 1); // one token never occurs
                }
            }
            return rows;
        }

        private Tensor store(String name, int[][] rows) {
            Tensor tensor =
                    device.allocate(Purpose.DATA, name, ElementType.I32, Shape.of((long) BATCH * config.context()));
            for (int b = 0; b < BATCH; b++) {
                for (int t = 0; t < config.context(); t++) {
                    tensor.segment().setAtIndex(ValueLayout.JAVA_INT, (long) b * config.context() + t, rows[b][t]);
                }
            }
            return tensor;
        }

        double referenceLoss() {
            return new ReferenceGpt(config).loss(weights, tokenRows, targetRows);
        }

        /** The central difference of the reference's loss in one weight. */
        double slope(int parameter, int element) {
            double step = 1e-5;
            double at = weights[parameter][element];
            weights[parameter][element] = at + step;
            double above = referenceLoss();
            weights[parameter][element] = at - step;
            double below = referenceLoss();
            weights[parameter][element] = at;
            return (above - below) / (2 * step);
        }

        @Override
        public void close() {
            tokens.close();
            targets.close();
            gpt.close();
            assertEquals(0, device.ledger().bytes(Purpose.WEIGHTS));
            assertEquals(0, device.ledger().bytes(Purpose.GRADIENTS));
            assertEquals(0, device.ledger().bytes(Purpose.ACTIVATIONS));
            device.close();
        }
    }

    @ParameterizedTest
    @MethodSource({"smallShapes", "longShapes"})
    void lossIsThatOfTheReference(GptConfig config) {
        try (Fixture f = new Fixture(config, 2)) {
            double expected = f.referenceLoss();
            assertEquals(expected, f.gpt.loss(f.tokens.segment(), f.targets.segment()), 2e-6 * expected);
            assertEquals(expected, f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1), 2e-6 * expected);
        }
    }

    @ParameterizedTest
    @MethodSource("smallShapes")
    void everyGradientIsTheSlopeOfTheReferencesLoss(GptConfig config) {
        try (Fixture f = new Fixture(config, 2)) {
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1);
            for (int p = 0; p < f.weights.length; p++) {
                checkGradient(f, p, 1);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("longShapes")
    void gradientsAcrossBlocksAndTilesAreSlopes(GptConfig config) {
        try (Fixture f = new Fixture(config, 2)) {
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1);
            for (int p = 0; p < f.weights.length; p++) {
                checkGradient(f, p, Math.max(1, f.weights[p].length / 12));
            }
        }
    }

    private static void checkGradient(Fixture f, int parameter, int stride) {
        GptParameter checked = f.gpt.parameters().get(parameter);
        double largest = 0;
        double worst = 0;
        for (int i = 0; i < f.weights[parameter].length; i += stride) {
            double slope = f.slope(parameter, i);
            largest = Math.max(largest, Math.abs(slope));
            worst = Math.max(worst, Math.abs(slope - checked.gradient().getFloat(i)));
        }
        assertTrue(largest > 1e-4, checked.name() + " has no slope to compare with: " + largest);
        assertTrue(
                worst <= 2e-5 * largest, checked.name() + " is off by " + worst + " where slopes go up to " + largest);
    }

    @Test
    void gradientsAddUpUnderTheirScale() {
        GptConfig config = smallShapes().findFirst().orElseThrow();
        try (Fixture f = new Fixture(config, 1)) {
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1);
            List<float[]> once = gradients(f.gpt);
            f.gpt.zeroGradients();
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 0.25);
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 0.75);
            List<float[]> twice = gradients(f.gpt);
            for (int p = 0; p < once.size(); p++) {
                assertArrayEquals(once.get(p), twice.get(p), 1e-6f);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("longShapes")
    void bitsDoNotDependOnTheNumberOfThreads(GptConfig config) {
        List<List<float[]>> gradients = new ArrayList<>();
        List<Double> losses = new ArrayList<>();
        for (int threads = 1; threads <= 3; threads++) {
            try (Fixture f = new Fixture(config, threads)) {
                losses.add(f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1));
                gradients.add(gradients(f.gpt));
            }
        }
        for (int other = 1; other < 3; other++) {
            assertEquals(losses.get(0), losses.get(other));
            for (int p = 0; p < gradients.get(0).size(); p++) {
                assertArrayEquals(gradients.get(0).get(p), gradients.get(other).get(p));
            }
        }
    }

    @Test
    void initialWeightsDoNotDependOnTheNumberOfThreads() {
        GptConfig config = new GptConfig(700, 1, 128, 4, 4, 32, Mlp.RELU2, 512, 16, false, 15, 1e4, 1e-6);
        try (Device one = Device.cpu(1);
                Device three = Device.cpu(3);
                Gpt first = new Gpt(one, config, 1, 5);
                Gpt second = new Gpt(three, config, 1, 5);
                Gpt other = new Gpt(one, config, 1, 6)) {
            for (int p = 0; p < first.parameters().size(); p++) {
                float[] weights = first.parameters().get(p).weights().toFloatArray();
                assertArrayEquals(weights, second.parameters().get(p).weights().toFloatArray());
            }
            float[] embedding = first.parameters().getFirst().weights().toFloatArray();
            assertTrue(embedding[0] != other.parameters().getFirst().weights().getFloat(0));
            double mean = 0;
            double squares = 0;
            for (float value : embedding) {
                mean += value / embedding.length;
                squares += (double) value * value / embedding.length;
            }
            assertEquals(0, mean, 0.02);
            assertEquals(1, squares, 0.02);
        }
    }

    /** Every block begins as the identity and the head near 0: all tokens are about equally likely. */
    @Test
    void theInitialLossIsThatOfAGuess() {
        GptConfig config = new GptConfig(64, 2, 32, 4, 2, 8, Mlp.GATED, 48, 16, false, 15, 1e4, 1e-6);
        try (Device device = Device.cpu(2);
                Gpt gpt = new Gpt(device, config, 1, 5);
                Tensor zeros = device.allocate(Purpose.DATA, "tokens", ElementType.I32, Shape.of(16))) {
            assertEquals(Math.log(64), gpt.loss(zeros.segment(), zeros.segment()), 0.02);
        }
    }

    @Test
    void nextTokenLogitsAreThoseOfTheReference() {
        GptConfig config = new GptConfig(VOCAB, 2, 10, 4, 2, 6, Mlp.GATED, 14, 9, false, 2, 100, 1e-5);
        try (Fixture f = new Fixture(config, 2)) {
            int[] text = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
            for (int length : new int[] {1, 4, 9, 12}) {
                int known = Math.min(length, 9);
                int[] seen = java.util.Arrays.copyOfRange(text, length - known, length);
                double[] expected = new ReferenceGpt(config).logits(f.weights, seen)[known - 1];
                float[] logits = f.gpt.nextTokenLogits(java.util.Arrays.copyOf(text, length));
                for (int i = 0; i < VOCAB; i++) {
                    assertEquals(expected[i], logits[i], 1e-5);
                }
            }
        }
    }

    @Test
    void aStepAllocatesNothing() {
        try (Fixture f = new Fixture(smallShapes().findFirst().orElseThrow(), 2)) {
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1);
            long allocations = f.device.ledger().allocations();
            f.gpt.zeroGradients();
            f.gpt.lossAndGradients(f.tokens.segment(), f.targets.segment(), 1);
            f.gpt.loss(f.tokens.segment(), f.targets.segment());
            assertEquals(allocations, f.device.ledger().allocations());
        }
    }

    @Test
    void everyByteOfWeightsAndGradientsIsInTheLedger() {
        GptConfig config = smallShapes().findFirst().orElseThrow();
        try (Fixture f = new Fixture(config, 1)) {
            long least = config.parameterCount() * 4;
            long most = least + 64L * config.parameters().size();
            long weights = f.device.ledger().bytes(Purpose.WEIGHTS);
            long gradients = f.device.ledger().bytes(Purpose.GRADIENTS);
            assertTrue(weights >= least && weights <= most, () -> weights + " bytes of weights");
            assertTrue(gradients >= least && gradients <= most, () -> gradients + " bytes of gradients");
        }
    }

    @Test
    void refusesWhatItCannotTrainOn() {
        try (Fixture f = new Fixture(smallShapes().findFirst().orElseThrow(), 1)) {
            assertEquals(
                    "'tokens' has 36 bytes; 10 elements of I32 need 40",
                    assertThrows(
                                    IllegalArgumentException.class,
                                    () -> f.gpt.loss(f.tokens.segment().asSlice(0, 36), f.targets.segment()))
                            .getMessage());
            f.tokens.segment().setAtIndex(ValueLayout.JAVA_INT, 3, VOCAB);
            assertEquals(
                    "token 3 is 11; it must be from 0 to 10",
                    assertThrows(
                                    IllegalArgumentException.class,
                                    () -> f.gpt.loss(f.tokens.segment(), f.targets.segment()))
                            .getMessage());
            assertThrows(IllegalArgumentException.class, () -> f.gpt.nextTokenLogits(new int[0]));
        }
    }

    @Test
    void isOfNoUseAfterClose() {
        try (Device device = Device.cpu(1)) {
            Gpt gpt = new Gpt(device, smallShapes().findFirst().orElseThrow(), 1, 1);
            gpt.close();
            gpt.close();
            assertEquals(
                    "the model was used after it was closed",
                    assertThrows(IllegalStateException.class, () -> gpt.nextTokenLogits(new int[] {1}))
                            .getMessage());
        }
    }

    private static List<float[]> gradients(Gpt gpt) {
        return gpt.parameters().stream().map(p -> p.gradient().toFloatArray()).toList();
    }
}
