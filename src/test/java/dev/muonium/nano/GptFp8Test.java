package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.CountingAllocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptConfig.Mlp;
import dev.muonium.nano.GptContract.Difference;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.PlannedDevice;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Linear layers in FP8 on a GPU or an emulated one, whatever its compute capability. */
@CudaTest
@Tag("fp8")
final class GptFp8Test {
    private static final TrainingListener SILENT = new TrainingListener() {};

    /** Blocks beyond 128, grouped heads and a gate; and extents that all have to be padded. */
    static Stream<GptConfig> shapes() {
        return Stream.of(
                new GptConfig(64, 2, 144, 3, 1, 48, Mlp.GATED, 160, 16, false, 15, 1e4, 1e-6),
                new GptConfig(67, 3, 40, 5, 5, 8, Mlp.RELU2, 52, 11, true, 2, 1e4, 1e-6));
    }

    private static GptOptions options(boolean activations, boolean gradients) {
        return new GptOptions(Precision.MIXED, 0, activations, gradients, false);
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void gradientsPointTheSameWay(GptConfig config) {
        try (CudaDevice device = Device.cuda();
                ModelRun plain = new ModelRun(device, config, options(false, false), Grain.WHOLE)) {
            double expected = plain.lossAndGradients(1);
            List<float[]> right = plain.gradients();
            for (GptOptions options :
                    new GptOptions[] {options(true, false), options(false, true), options(true, true)}) {
                try (ModelRun run = new ModelRun(device, config, options, Grain.WHOLE)) {
                    double loss = run.lossAndGradients(1);
                    assertEquals(expected, loss, 0.02 * expected, options::toString);
                    assertEquals(loss, run.loss(), "forward is the same with and without backward");
                    assertEquals(
                            device.fp8().available() && options.fp8Activations(),
                            loss != expected,
                            "FP8 leaves traces where it is");
                    List<float[]> gradients = run.gradients();
                    for (int p = 0; p < right.size(); p++) {
                        String name = run.gpt.parameters().get(p).name();
                        Difference difference = Difference.of(right.get(p), gradients.get(p));
                        assertTrue(difference.cosine() > 0.9, () -> options + ", " + name + ": " + difference);
                    }
                    assertEquals(
                            Optional.of(device.fp8().sentence()), run.gpt.describeFp8(), "reports say how it is done");
                    assertEquals(config.vocab(), run.gpt.nextTokenLogits(new int[] {1, 2, 3}).length);
                }
            }
        }
    }

    private static List<float[]> gradients(GptConfig config, GptOptions options) {
        try (Device device = Device.cuda();
                ModelRun run = new ModelRun(device, config, options, Grain.WHOLE)) {
            run.lossAndGradients(0.5);
            run.lossAndGradients(0.5);
            return run.gradients();
        }
    }

    private static void assertSameBits(List<float[]> expected, List<float[]> actual) {
        for (int p = 0; p < expected.size(); p++) {
            assertArrayEquals(expected.get(p), actual.get(p));
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyRunGivesTheSameBits(GptConfig config) {
        assertSameBits(gradients(config, options(true, true)), gradients(config, options(true, true)));
    }

    /** Nothing waits in FP8 here, so what is recomputed from bf16 is what was there. */
    @ParameterizedTest
    @MethodSource("shapes")
    void recomputedGradientsAreTheSameBits(GptConfig config) {
        assertSameBits(
                gradients(config, options(false, true)),
                gradients(config, new GptOptions(Precision.MIXED, 1, false, true, false)));
    }

    /** The gradients of a block lie one behind the other, so that some do not begin where tensor cores can write them. */
    @Test
    void transientGradientsAreTheSame() {
        GptConfig config = new GptConfig(67, 2, 10, 1, 1, 8, Mlp.RELU2, 9, 11, false, 2, 1e4, 1e-6);
        try (Device device = Device.cuda();
                ModelRun kept = new ModelRun(device, config, options(true, true), Grain.WHOLE);
                ModelRun passing = new ModelRun(
                        device, config, new GptOptions(Precision.MIXED, 0, true, true, true), Grain.WHOLE)) {
            kept.lossAndGradients(1);
            Map<String, float[]> seen = new HashMap<>();
            passing.gpt.lossAndGradients(
                    passing.tokens,
                    passing.targets,
                    1,
                    parameter -> seen.put(parameter.name(), parameter.gradient().toFloatArray()));
            List<float[]> expected = kept.gradients();
            for (int p = 0; p < expected.size(); p++) {
                String name = kept.gpt.parameters().get(p).name();
                if (name.startsWith("blocks.")) {
                    Difference difference = Difference.of(expected.get(p), seen.get(name));
                    assertTrue(difference.cosine() > 0.99999, () -> name + ": " + difference);
                }
            }
        }
    }

    /** FP32 was asked for, so FP32 it is. */
    @Test
    void aModelInFp32IsNotMultipliedInFp8() {
        GptConfig config = shapes().findFirst().orElseThrow();
        GptOptions options = new GptOptions(Precision.FP32, 0, true, true, false);
        try (CudaDevice device = Device.cuda();
                ModelRun plain = new ModelRun(device, config, GptOptions.of(Precision.FP32), Grain.WHOLE);
                ModelRun run = new ModelRun(device, config, options, Grain.WHOLE)) {
            assertEquals(plain.lossAndGradients(1), run.lossAndGradients(1));
            assertFalse(run.gpt.describeFp8().orElseThrow().startsWith("FP8"));
            assertEquals(Optional.empty(), plain.gpt.describeFp8());
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyByteIsInTheLedger(GptConfig config) {
        for (GptOptions options : new GptOptions[] {options(true, false), options(false, true), options(true, true)}) {
            try (CudaDevice device = Device.cuda();
                    Gpt gpt = new Gpt(device, config, 2, options, 1)) {
                CountingAllocator counting = new CountingAllocator(256);
                GptTensors.allocate(
                        new OwnedTensors(counting),
                        config,
                        2,
                        gpt.options(),
                        Grain.WHOLE,
                        device.fp8().available());
                for (Purpose purpose : new Purpose[] {Purpose.WEIGHTS, Purpose.GRADIENTS, Purpose.ACTIVATIONS}) {
                    assertEquals(
                            counting.ledger().bytes(purpose), device.ledger().bytes(purpose), purpose::name);
                }
            }
        }
    }

    private static Preset preset(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(
                Map.of("layers", 2L, "d_model", 32L, "heads", 2L, "context", 24L, "batch", 2L, "steps", 24L));
        keys.putAll(Map.of(
                "warmup_steps", 2L, "momentum_warmup_steps", 20L, "eval_batches", 4L, "head_lr", 0.02, "seed", 11L));
        keys.putAll(changes);
        return Preset.of("small", keys);
    }

    private static RunResult train(Map<String, Object> changes) {
        Preset preset = preset(changes);
        ByteTokenizer bytes = new ByteTokenizer();
        try (CudaDevice device = Device.cuda();
                TextData data = new TextData(
                        device,
                        bytes,
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, bytes, data)) {
            RunResult result = trainer.run("run", SILENT);
            MemoryPlan plan = GptPlan.of(
                    preset,
                    new PlannedDevice(
                            "cuda", true, 1, ElementType.BF16, device.fp8().available()),
                    data.trainingTokens() + data.validationTokens(),
                    false);
            assertEquals(plan.bytes(Purpose.ACTIVATIONS), device.ledger().bytes(Purpose.ACTIVATIONS));
            long allocations = device.ledger().allocations();
            trainer.trainStep();
            trainer.validate();
            assertEquals(allocations, device.ledger().allocations());
            return result;
        }
    }

    @Test
    void learnsAsFp32() {
        try (CudaDevice device = Device.cuda()) {
            assumeTrue(device.fp8().available(), device.fp8().sentence());
        }
        RunResult fp32 = train(Map.of("precision", "f32"));
        RunResult fp8 = train(Map.of("fp8_activations", true, "fp8_gradients", true));
        System.out.println("held-out loss in FP32 " + fp32.valLoss() + ", with FP8 products " + fp8.valLoss());
        assertTrue(fp32.valLoss() < fp32.trainLoss().getFirst() - 1, () -> "FP32 learned nothing: " + fp32);
        assertEquals(fp32.valLoss(), fp8.valLoss(), 0.01 * fp32.valLoss());
    }

    /** The emulated GPUs are of 8.6, 8.9 and 9.0; one of them at least multiplies in FP8. */
    @Test
    void anOlderGpuMultipliesInBf16() {
        try (CudaDevice device = Device.cuda()) {
            assumeTrue(!device.fp8().available(), "this GPU has FP8 products");
            try (Gpt gpt = new Gpt(device, shapes().findFirst().orElseThrow(), 1, options(true, true), 1)) {
                String sentence = gpt.describeFp8().orElseThrow();
                assertTrue(sentence.startsWith("BF16 products instead of FP8: they need"), sentence);
            }
        }
    }
}
