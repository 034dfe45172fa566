package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptConfig.Mlp;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a GPT whose work is not cut must do on a device, against the GPT in tiles on the CPU and the FP64 reference. */
abstract class GptContract {
    private Device cpu; // once a test asks for it
    Device device;

    /** Opens the device under test. */
    abstract Device open();

    @BeforeEach
    void openTheDevice() {
        device = open();
    }

    @AfterEach
    void closeAll() {
        for (Device each : new Device[] {device, cpu}) {
            if (each != null) {
                for (Purpose purpose :
                        new Purpose[] {Purpose.WEIGHTS, Purpose.GRADIENTS, Purpose.ACTIVATIONS, Purpose.DATA}) {
                    assertEquals(0, each.ledger().bytes(purpose), purpose::name);
                }
                each.close();
            }
        }
    }

    private Device cpu() {
        if (cpu == null) {
            cpu = CpuBeside.open(2);
        }
        return cpu;
    }

    /** Both MLPs, heads alone and in groups, tied and untied, sizes of heads, an odd vocabulary, contexts that no tile divides. */
    static Stream<GptConfig> shapes() {
        return Stream.of(
                new GptConfig(64, 2, 32, 4, 2, 8, Mlp.GATED, 48, 32, false, 15, 1e4, 1e-6),
                new GptConfig(131, 2, 48, 3, 3, 16, Mlp.RELU2, 64, 40, true, 2, 1e4, 1e-6),
                new GptConfig(96, 1, 64, 4, 1, 32, Mlp.GATED, 72, 64, true, 0, 1e4, 1e-6),
                new GptConfig(72, 1, 64, 2, 1, 80, Mlp.RELU2, 64, 70, false, 15, 1e4, 1e-6));
    }

    static GptConfig shape() {
        return shapes().findFirst().orElseThrow();
    }

    private ModelRun onCpu(GptConfig config) {
        return new ModelRun(cpu(), config, Precision.FP32, Grain.TILES);
    }

    final ModelRun onDevice(GptConfig config, Precision precision) {
        return new ModelRun(device, config, precision, Grain.WHOLE);
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void fp32IsThatOfTheCpu(GptConfig config) {
        try (ModelRun expected = onCpu(config);
                ModelRun run = onDevice(config, Precision.FP32)) {
            expected.lossAndGradients(1);
            run.lossAndGradients(1);
            assertClose(expected, run, 1e-4, 1e-4);
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void fp32IsThatOfTheReference(GptConfig config) {
        try (ModelRun run = onDevice(config, Precision.FP32)) {
            double reference = run.referenceLoss();
            assertEquals(reference, run.loss(), 1e-5 * reference);
            assertEquals(reference, run.lossAndGradients(1), 1e-5 * reference);
            List<float[]> gradients = run.gradients();
            for (int p = 0; p < gradients.size(); p++) {
                float[] gradient = gradients.get(p);
                float largest = 0;
                for (float value : gradient) {
                    largest = Math.max(largest, Math.abs(value));
                }
                for (int element : new int[] {gradient.length / 3, 2 * gradient.length / 3}) {
                    String name = run.gpt.parameters().get(p).name() + "[" + element + "]";
                    assertEquals(run.slope(p, element), gradient[element], 1e-4 * largest, name);
                }
            }
        }
    }

    @Test
    void gradientsAddUpUnderTheirScale() {
        try (ModelRun once = onDevice(shape(), Precision.FP32);
                ModelRun twice = onDevice(shape(), Precision.FP32)) {
            once.lossAndGradients(1);
            twice.lossAndGradients(7);
            twice.gpt.zeroGradients();
            twice.lossAndGradients(0.25);
            twice.lossAndGradients(0.75);
            assertClose(once, twice, 1e-5, 1e-5);
        }
    }

    @Test
    void nextTokenLogitsAreThoseOfTheReference() {
        GptConfig config = shape();
        try (ModelRun run = onDevice(config, Precision.FP32)) {
            int[] text = new int[config.context() + 5];
            Arrays.setAll(text, i -> (i * 7 + 3) % config.vocab());
            for (int length : new int[] {1, 6, config.context(), text.length}) {
                int known = Math.min(length, config.context());
                int[] seen = Arrays.copyOfRange(text, length - known, length);
                double[] expected = new ReferenceGpt(config).logits(run.weights, seen)[known - 1];
                float[] logits = run.gpt.nextTokenLogits(Arrays.copyOf(text, length));
                for (int i = 0; i < expected.length; i++) {
                    assertEquals(expected[i], logits[i], 2e-5);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyRunGivesTheSameBits(GptConfig config) {
        Precision precision = PrecisionChoice.AUTO.on(device);
        List<List<float[]>> gradients = new ArrayList<>();
        double[] losses = new double[2];
        for (int i = 0; i < 2; i++) {
            try (ModelRun run = onDevice(config, precision)) {
                losses[i] = run.lossAndGradients(1);
                gradients.add(run.gradients());
            }
        }
        assertEquals(losses[0], losses[1]);
        for (int p = 0; p < gradients.get(0).size(); p++) {
            assertArrayEquals(gradients.get(0).get(p), gradients.get(1).get(p));
        }
    }

    @Test
    void initialWeightsAreThoseOfTheCpu() {
        GptConfig config = new GptConfig(700, 1, 64, 4, 4, 16, Mlp.RELU2, 128, 16, false, 15, 1e4, 1e-6);
        try (Gpt expected = new Gpt(cpu(), config, 1, 5);
                Gpt gpt = new Gpt(device, config, 1, Precision.FP32, 5, Grain.WHOLE)) {
            for (int p = 0; p < expected.parameters().size(); p++) {
                assertArrayEquals(
                        expected.parameters().get(p).weights().toFloatArray(),
                        gpt.parameters().get(p).weights().toFloatArray());
            }
        }
    }

    @Test
    void aStepAllocatesNothing() {
        try (ModelRun run = onDevice(shape(), PrecisionChoice.AUTO.on(device))) {
            run.lossAndGradients(1);
            long allocations = device.ledger().allocations();
            run.gpt.zeroGradients();
            run.lossAndGradients(1);
            run.loss();
            assertEquals(allocations, device.ledger().allocations());
        }
    }

    @Test
    void refusesTokensThatTheModelDoesNotHave() {
        try (ModelRun run = onDevice(shape(), PrecisionChoice.AUTO.on(device))) {
            run.tokens.setAtIndex(ValueLayout.JAVA_INT, 3, 64);
            assertEquals(
                    "token 3 is 64; it must be from 0 to 63",
                    assertThrows(IllegalArgumentException.class, run::loss).getMessage());
            run.tokens.setAtIndex(ValueLayout.JAVA_INT, 3, 1);
            run.targets.setAtIndex(ValueLayout.JAVA_INT, 5, -1);
            assertEquals(
                    "target 5 is -1; it must be from 0 to 63",
                    assertThrows(IllegalArgumentException.class, () -> run.lossAndGradients(1))
                            .getMessage());
        }
    }

    @Test
    void refusesHeadsThatItsAttentionDoesNotTake() {
        GptConfig config = new GptConfig(64, 1, 36, 3, 3, 12, Mlp.RELU2, 64, 16, false, 15, 1e4, 1e-6);
        assertEquals(
                "head_dim is 12; on a CUDA device it must be a multiple of 8, at most 128",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new Gpt(device, config, 1, Precision.FP32, 5, Grain.WHOLE))
                        .getMessage());
    }

    /** Every gradient within a fraction of the expected one's norm, and every element within a fraction of its largest. */
    static void assertClose(ModelRun expected, ModelRun actual, double norm, double largest) {
        List<float[]> a = expected.gradients();
        List<float[]> b = actual.gradients();
        for (int p = 0; p < a.size(); p++) {
            String name = expected.gpt.parameters().get(p).name();
            Difference difference = Difference.of(a.get(p), b.get(p));
            assertTrue(difference.norm() <= norm && difference.largest() <= largest, () -> name + ": " + difference);
        }
    }

    /**
     * How far an array lies from the one that is expected.
     *
     * @param norm of the difference, by the norm of what is expected
     * @param largest difference of an element, by the largest element
     * @param cosine of the angle between both
     */
    record Difference(double norm, double largest, double cosine) {
        static Difference of(float[] expected, float[] actual) {
            double squares = 0;
            double actualSquares = 0;
            double product = 0;
            double differences = 0;
            double most = 0;
            double mostOff = 0;
            for (int i = 0; i < expected.length; i++) {
                double off = expected[i] - (double) actual[i];
                squares += (double) expected[i] * expected[i];
                actualSquares += (double) actual[i] * actual[i];
                product += (double) expected[i] * actual[i];
                differences += off * off;
                most = Math.max(most, Math.abs(expected[i]));
                mostOff = Math.max(mostOff, Math.abs(off));
            }
            return new Difference(
                    Math.sqrt(differences / squares), mostOff / most, product / Math.sqrt(squares * actualSquares));
        }
    }
}
