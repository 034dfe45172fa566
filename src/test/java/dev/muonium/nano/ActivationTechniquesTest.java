package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptConfig.Mlp;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Activation checkpointing, activations and gradients in FP8, and transient gradients. */
class ActivationTechniquesTest {
    private static final GptOptions PLAIN = GptOptions.of(Precision.FP32);

    private static GptOptions checkpointing(int blocks) {
        return new GptOptions(Precision.FP32, blocks, false, false, false);
    }

    private static GptOptions fp8(int blocks, boolean activations, boolean gradients) {
        return new GptOptions(Precision.FP32, blocks, activations, gradients, false);
    }

    private static GptConfig gated() {
        return new GptConfig(64, 5, 32, 4, 2, 8, Mlp.GATED, 48, 40, false, 15, 1e4, 1e-6);
    }

    private static GptConfig relu2() {
        return new GptConfig(67, 5, 48, 3, 3, 16, Mlp.RELU2, 64, 150, true, 2, 1e4, 1e-6);
    }

    static Stream<GptConfig> shapes() {
        return Stream.of(gated(), relu2());
    }

    private static void assertSameBits(GptConfig config, GptOptions options, Grain grain) {
        try (Device device = Device.cpu(2);
                ModelRun plain = new ModelRun(device, config, PLAIN, grain);
                ModelRun run = new ModelRun(device, config, options, grain)) {
            for (int batch = 0; batch < 2; batch++) {
                assertEquals(plain.lossAndGradients(0.5), run.lossAndGradients(0.5));
                assertEquals(plain.loss(), run.loss());
            }
            List<float[]> expected = plain.gradients();
            List<float[]> gradients = run.gradients();
            for (int p = 0; p < expected.size(); p++) {
                assertArrayEquals(
                        expected.get(p),
                        gradients.get(p),
                        run.gpt.parameters().get(p).name());
            }
            assertArrayEquals(
                    plain.gpt.nextTokenLogits(new int[] {1, 2, 3}), run.gpt.nextTokenLogits(new int[] {1, 2, 3}));
        }
    }

    /** Segments of one block, of two and three (the last one short), of all, and of more than there are. */
    @ParameterizedTest
    @MethodSource("shapes")
    void recomputedGradientsAreTheSameBits(GptConfig config) {
        for (int blocks : new int[] {1, 2, 3, 5, 9}) {
            assertSameBits(config, checkpointing(blocks), Grain.TILES);
        }
    }

    @Test
    void recomputedGradientsAreTheSameBitsInWholeTasks() {
        assertSameBits(gated(), checkpointing(2), Grain.WHOLE);
    }

    /** All that one block computes (n rows of FP32), and the streams: n·d for the embedding and behind each of five blocks. */
    @ParameterizedTest
    @MethodSource("shapes")
    void activationsOfOneSegmentExistAtATime(GptConfig config) {
        long n = (long) ModelRun.BATCH * config.context();
        long block = blockBytes(config, n);
        long stream = 4 * n * config.dModel();
        long plain = activationBytes(config, PLAIN);
        assertNear(4 * block, plain - activationBytes(config, checkpointing(1)), 64L * 60);
        assertNear(3 * block + stream, plain - activationBytes(config, checkpointing(2)), 64L * 60);
        assertNear(2 * block + stream, plain - activationBytes(config, checkpointing(3)), 64L * 60);
        assertEquals(0, plain - activationBytes(config, checkpointing(9)));
    }

    /** Four blocks wait in 1 + 4/128 bytes for each 4; the sums stay as they are; two streams take turns for six. */
    @ParameterizedTest
    @MethodSource("shapes")
    void activationsWaitInOneByte(GptConfig config) {
        long n = (long) ModelRun.BATCH * config.context();
        long rows = blockBytes(config, n) - sumBytes(config, n);
        long coded = 0;
        List<Integer> widths = new ArrayList<>(BlockActivations.Rows.widths(config));
        widths.add(config.dModel());
        for (int width : widths) {
            coded += BlockFormat.FP8_E4M3.bytes(n * width, BlockFormat.DEFAULT_BLOCK);
        }
        long saved = activationBytes(config, PLAIN) - activationBytes(config, fp8(0, true, false));
        assertNear(4 * rows + 4 * 4 * n * config.dModel() - 4 * coded, saved, 64L * 120);
    }

    /** Equal but for the padding of each tensor to its alignment. */
    private static void assertNear(long expected, long bytes, long padding) {
        assertTrue(Math.abs(expected - bytes) <= padding, () -> bytes + " bytes, expected " + expected);
    }

    private static long blockBytes(GptConfig config, long n) {
        long width = BlockActivations.Rows.widths(config).stream()
                .mapToLong(Integer::longValue)
                .sum();
        return 4 * n * width + sumBytes(config, n);
    }

    private static long sumBytes(GptConfig config, long n) {
        return 4 * n * (2 + 2L * config.heads() + config.kvHeads());
    }

    private static long activationBytes(GptConfig config, GptOptions options) {
        try (Device device = Device.cpu(1);
                ModelRun run = new ModelRun(device, config, options, Grain.TILES)) {
            return run.device.ledger().bytes(Purpose.ACTIVATIONS);
        }
    }

    @ParameterizedTest
    @EnumSource(Grain.class)
    void gradientsThroughFp8PointTheSameWay(Grain grain) {
        for (GptOptions options : new GptOptions[] {
            fp8(0, true, false), fp8(0, false, true), fp8(0, true, true), fp8(2, true, true), fp8(9, true, false)
        }) {
            try (Device device = Device.cpu(2);
                    ModelRun plain = new ModelRun(device, gated(), PLAIN, grain);
                    ModelRun run = new ModelRun(device, gated(), options, grain)) {
                assertEquals(plain.lossAndGradients(1), run.lossAndGradients(1), "forward is the same");
                List<float[]> expected = plain.gradients();
                List<float[]> gradients = run.gradients();
                boolean same = true;
                for (int p = 0; p < expected.size(); p++) {
                    double cosine = cosine(expected.get(p), gradients.get(p));
                    String name = run.gpt.parameters().get(p).name();
                    assertTrue(cosine > 0.98, () -> options + ", " + name + ": cosine " + cosine);
                    same &= cosine == 1;
                }
                assertEquals(options.checkpointedBlocks() == 9, same, "FP8 leaves traces, unless nothing waits");
            }
        }
    }

    private static double cosine(float[] x, float[] y) {
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xy += (double) x[i] * y[i];
            xx += (double) x[i] * x[i];
            yy += (double) y[i] * y[i];
        }
        return xy / Math.sqrt(xx * yy);
    }

    @Test
    void fp8DoesNotDependOnTheNumberOfThreads() {
        List<List<float[]>> all = new ArrayList<>();
        for (int threads = 1; threads <= 3; threads += 2) {
            try (Device device = Device.cpu(threads);
                    ModelRun run = new ModelRun(device, relu2(), fp8(2, true, true), Grain.TILES)) {
                run.lossAndGradients(1);
                all.add(run.gradients());
            }
        }
        for (int p = 0; p < all.getFirst().size(); p++) {
            assertArrayEquals(all.get(0).get(p), all.get(1).get(p));
        }
    }

    /** Else a step would be taken with gradients that only look finite. */
    @Test
    void whatIsNotFiniteStaysSoThroughFp8() {
        try (Device device = Device.cpu(2);
                ModelRun run = new ModelRun(device, gated(), fp8(0, true, true), Grain.TILES)) {
            run.gpt.parameters().get(1).weights().setFloat(0, Float.NaN);
            run.lossAndGradients(1);
            for (GptParameter parameter : run.gpt.parameters()) {
                if (parameter.name().startsWith("blocks.0")) {
                    boolean finite = true;
                    for (float value : parameter.gradient().toFloatArray()) {
                        finite &= Float.isFinite(value);
                    }
                    assertTrue(!finite, parameter.name());
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Grain.class)
    void transientGradientsAreThoseOfTheirMicroBatch(Grain grain) {
        GptOptions options = new GptOptions(Precision.FP32, 2, false, false, true);
        try (Device device = Device.cpu(2);
                ModelRun plain = new ModelRun(device, gated(), PLAIN, grain);
                ModelRun run = new ModelRun(device, gated(), options, grain)) {
            plain.lossAndGradients(1);
            List<float[]> expected = plain.gradients();
            for (int micro = 0; micro < 2; micro++) {
                Map<String, float[]> seen = new HashMap<>();
                run.gpt.lossAndGradients(
                        run.tokens,
                        run.targets,
                        1,
                        parameter ->
                                seen.put(parameter.name(), parameter.gradient().toFloatArray()));
                for (int p = 0; p < expected.size(); p++) {
                    GptParameter parameter = run.gpt.parameters().get(p);
                    if (parameter.name().startsWith("blocks.")) {
                        assertArrayEquals(expected.get(p), seen.get(parameter.name()), parameter.name());
                    }
                }
                assertEquals(5 * 7, seen.size());
            }
            run.gpt.zeroGradients();
            assertEquals(0, run.gpt.parameters().getLast().gradient().getFloat(3));
            assertEquals(
                    "the gradients of this model's blocks are transient; give a hook that takes them",
                    assertThrows(IllegalArgumentException.class, () -> run.lossAndGradients(1))
                            .getMessage());
        }
    }

    @Test
    void theHookGetsTheMatricesOfTheOnlyBlock() {
        GptConfig config = new GptConfig(64, 1, 32, 4, 2, 8, Mlp.RELU2, 48, 40, false, 15, 1e4, 1e-6);
        try (Device device = Device.cpu(1);
                ModelRun run = new ModelRun(
                        device, config, new GptOptions(Precision.FP32, 0, false, false, true), Grain.TILES)) {
            List<String> names = new ArrayList<>();
            run.gpt.lossAndGradients(run.tokens, run.targets, 1, parameter -> names.add(parameter.name()));
            assertEquals(
                    List.of("attn.q", "attn.k", "attn.v", "attn.out", "mlp.up", "mlp.down").stream()
                            .map(name -> "blocks.0." + name)
                            .toList(),
                    names);
        }
    }

    @Test
    void transientGradientsHaveTheMemoryOfOneBlock() {
        GptConfig config = gated();
        long block = 0;
        for (ParameterDescription parameter : config.parameters()) {
            block += parameter.name().startsWith("blocks.0.") ? 4 * parameter.elements() : 0;
        }
        assertNear(
                4 * block,
                gradientBytes(config, PLAIN)
                        - gradientBytes(config, new GptOptions(Precision.FP32, 0, false, false, true)),
                64L * 40);
    }

    private static long gradientBytes(GptConfig config, GptOptions options) {
        try (Device device = Device.cpu(1);
                ModelRun run = new ModelRun(device, config, options, Grain.TILES)) {
            return run.device.ledger().bytes(Purpose.GRADIENTS);
        }
    }
}
