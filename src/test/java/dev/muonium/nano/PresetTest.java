package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.nano.GptConfig.Mlp;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class PresetTest {
    private static final Map<String, Object> LEAST =
            Map.of("layers", 2L, "d_model", 64L, "heads", 4L, "context", 32L, "batch", 8L, "steps", 10L);

    private static Preset with(String key, Object value) {
        Map<String, Object> keys = new HashMap<>(LEAST);
        keys.put(key, value);
        return Preset.of("mine", keys);
    }

    private static String refusal(String key, Object value) {
        return assertThrows(IllegalArgumentException.class, () -> with(key, value))
                .getMessage();
    }

    @Test
    void fillsInWhatIsLeftOut() {
        Preset preset = Preset.of("mine", LEAST);
        assertEquals(256, preset.model().vocab());
        assertEquals(4, preset.model().kvHeads());
        assertEquals(16, preset.model().headDim());
        assertEquals(Mlp.RELU2, preset.model().mlp());
        assertEquals(256, preset.model().mlpWidth());
        assertEquals(1, preset.training().gradAccumSteps());
        assertTrue(preset.training().use8bitOptim());
    }

    @Test
    void readsTheKeysOfTheBrief() {
        assertFalse(with("use_8bit_optim", false).training().use8bitOptim());
        assertTrue(with("weight_tied", true).model().weightTied());
        assertEquals(3, with("grad_accum_steps", 3L).training().gradAccumSteps());
        assertEquals(50257, with("tokenizer", "gpt2").model().vocab());
        assertEquals(0.01, with("matrix_lr", 0.01).training().matrixLr());
        assertEquals(1.0, with("clip", 1L).training().clip());
        assertEquals(96, with("mlp_factor", 1.5).model().mlpWidth());
    }

    @Test
    void refusesWhatWouldFailOnlyAfterTheTraining() {
        assertEquals(
                "preset 'mine': sample_prompt is empty; it must hold at least one character, or set sample_tokens to 0",
                refusal("sample_prompt", ""));
        Map<String, Object> keys = new HashMap<>(LEAST);
        keys.put("batch", 65_536L);
        keys.put("context", 65_536L);
        assertEquals(
                "preset 'mine': batch is 65536; times context (65536) it must be below 2^31",
                assertThrows(IllegalArgumentException.class, () -> Preset.of("mine", keys))
                        .getMessage());
    }

    @Test
    void techniquesAreOffUntilTheyAreAskedFor() {
        Techniques none = with("steps", 9L).training().techniques();
        assertFalse(none.useGalore());
        assertEquals(Offload.NONE, none.offloadOptimizer());
        assertEquals(0, none.checkpointedBlocks());
        assertFalse(none.fp8Activations());
        assertFalse(none.fp8Gradients());
        assertEquals(new Saving(0, 3, true), with("steps", 9L).training().saving());

        assertTrue(with("use_galore", true).training().techniques().useGalore());
        assertEquals(
                Offload.FILE,
                with("offload_optimizer", "file").training().techniques().offloadOptimizer());
        assertEquals(
                0,
                with("activation_checkpointing", "none").training().techniques().checkpointedBlocks());
        assertEquals(
                1,
                with("activation_checkpointing", "block")
                        .training()
                        .techniques()
                        .checkpointedBlocks());
        assertEquals(
                3, with("activation_checkpointing", 3L).training().techniques().checkpointedBlocks());
        assertEquals(
                MatrixOptimizer.ADAMW,
                with("matrix_optimizer", "adamw").training().matrixOptimizer());
        assertEquals(5, with("keep_last_checkpoints", 5L).training().saving().keepLast());
    }

    @Test
    void refusesValuesThatNoTechniqueTakes() {
        assertEquals(
                "preset 'mine': activation_checkpointing is \"layer\"; it must be one of [block, none] or a positive"
                        + " integer",
                refusal("activation_checkpointing", "layer"));
        assertTrue(refusal("activation_checkpointing", 0L).contains("or a positive integer"));
        assertEquals(
                "preset 'mine': offload_optimizer is \"disk\"; it must be one of [file, host, none]",
                refusal("offload_optimizer", "disk"));
        assertTrue(refusal("keep_last_checkpoints", 0L).contains("keep_last_checkpoints is 0; it must be from 1"));
        Map<String, Object> keys = new HashMap<>(LEAST);
        keys.put("use_galore", true);
        keys.put("galore_rank", 1000L);
        String message = assertThrows(IllegalArgumentException.class, () -> Preset.of("mine", keys))
                .getMessage();
        assertTrue(message.startsWith("preset 'mine': galore_rank is 1000; it must be at most "), message);
    }

    @Test
    void thePrecisionIsTheDevicesUnlessItIsAskedFor() {
        assertEquals(PrecisionChoice.AUTO, with("steps", 9L).training().precision());
        assertEquals(
                new PrecisionChoice(PrecisionChoice.Type.BF16, PrecisionChoice.Type.AUTO, true),
                with("precision", "bf16").training().precision());
        assertEquals(
                new PrecisionChoice(PrecisionChoice.Type.AUTO, PrecisionChoice.Type.BF16, true),
                with("gradients", "bf16").training().precision());
        assertEquals(
                new PrecisionChoice(PrecisionChoice.Type.AUTO, PrecisionChoice.Type.AUTO, false),
                with("master_weights", false).training().precision());
        assertEquals(
                "preset 'mine': precision is \"fp8\"; it must be one of [auto, bf16, f32]",
                refusal("precision", "fp8"));
    }

    @Test
    void theCpuTakesFp32() {
        try (Device cpu = Device.cpu(1)) {
            assertEquals(Precision.FP32, PrecisionChoice.AUTO.on(cpu));
            assertEquals(
                    Precision.FP32,
                    new PrecisionChoice(PrecisionChoice.Type.F32, PrecisionChoice.Type.F32, false).on(cpu));
            assertTrue(assertThrows(
                            IllegalArgumentException.class,
                            () -> new PrecisionChoice(PrecisionChoice.Type.BF16, PrecisionChoice.Type.AUTO, true)
                                    .on(cpu))
                    .getMessage()
                    .startsWith("precision is bf16, and cpu ("));
            assertTrue(assertThrows(
                            IllegalArgumentException.class,
                            () -> new PrecisionChoice(PrecisionChoice.Type.AUTO, PrecisionChoice.Type.BF16, true)
                                    .on(cpu))
                    .getMessage()
                    .startsWith("gradients is bf16 and precision f32; "));
        }
    }

    @Test
    void refusesAnUnknownKey() {
        assertEquals(
                "preset 'mine' has the unknown key 'weight_tyed'; did you mean 'weight_tied'?",
                refusal("weight_tyed", true));
        assertTrue(refusal("learning_rate", 0.1)
                .startsWith(
                        "preset 'mine' has the unknown key 'learning_rate'; the keys are activation_checkpointing, "));
    }

    @Test
    void refusesWrongTypes() {
        assertEquals("preset 'mine': layers is \"two\"; it must be an integer", refusal("layers", "two"));
        assertEquals("preset 'mine': layers is 2.0; it must be an integer", refusal("layers", 2.0));
        assertEquals("preset 'mine': steps is 4294967296; it must fit 32 bits", refusal("steps", 1L << 32));
        assertEquals("preset 'mine': matrix_lr is true; it must be a number", refusal("matrix_lr", true));
        assertEquals("preset 'mine': weight_tied is 1; it must be true or false", refusal("weight_tied", 1L));
        assertEquals("preset 'mine': mlp is \"relu\"; it must be one of [gated, relu2]", refusal("mlp", "relu"));
    }

    @Test
    void refusesValuesOutOfRange() {
        assertEquals("preset 'mine': batch is 0; it must be from 1 to 65536", refusal("batch", 0L));
        assertEquals("preset 'mine': matrix_lr is -0.1; it must be from 0.0 to 10.0", refusal("matrix_lr", -0.1));
        assertEquals(
                "preset 'mine': momentum_end is 1.0; it must be at least 0 and below 1", refusal("momentum_end", 1.0));
        assertEquals("preset 'mine': heads is 0; it must be from 1 to 1024", refusal("heads", 0L));
        assertEquals(
                "preset 'mine': mlp_factor is 0.3; times d_model (64) it must give a whole width",
                refusal("mlp_factor", 0.3));
    }

    @ParameterizedTest
    @ValueSource(strings = {"layers", "d_model", "heads", "context", "batch", "steps"})
    void namesAKeyThatIsMissing(String key) {
        Map<String, Object> keys = new HashMap<>(LEAST);
        keys.remove(key);
        assertEquals(
                "preset 'mine' lacks the key '" + key + "'",
                assertThrows(IllegalArgumentException.class, () -> Preset.of("mine", keys))
                        .getMessage());
    }

    @Test
    void schedulesRiseStayAndFall() {
        Map<String, Object> keys = new HashMap<>(LEAST);
        keys.put("steps", 100L);
        keys.put("warmup_steps", 10L);
        keys.put("warmdown_fraction", 0.5);
        keys.put("final_lr_fraction", 0.1);
        keys.put("momentum_warmup_steps", 20L);
        TrainConfig training = Preset.of("mine", keys).training();
        assertEquals(0.1, training.schedule().factor(0), 1e-12);
        assertEquals(1, training.schedule().factor(9), 1e-12);
        assertEquals(1, training.schedule().factor(50), 1e-12);
        assertEquals(0.55, training.schedule().factor(75), 1e-12);
        assertEquals(0.1, training.schedule().factor(100), 1e-12);
        assertEquals(0.85, training.momentum(0), 1e-12);
        assertEquals(0.9, training.momentum(10), 1e-12);
        assertEquals(0.95, training.momentum(99), 1e-12);
    }
}
