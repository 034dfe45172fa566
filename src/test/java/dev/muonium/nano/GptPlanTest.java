package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.input.GptBpe;
import dev.muonium.cli.input.PresetFile;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.TrainerTest.Run;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.PlannedDevice;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What is planned is what a run asks for. */
class GptPlanTest {
    static Stream<Map<String, Object>> techniques() {
        return Stream.of(
                Map.of(),
                Map.of("use_8bit_optim", false),
                Map.of("matrix_optimizer", "adamw"),
                Map.of("weight_tied", true, "mlp", "gated", "mlp_factor", 2L, "kv_heads", 1L),
                Map.of("activation_checkpointing", "block"),
                Map.of("activation_checkpointing", 2L, "layers", 5L),
                Map.of("fp8_activations", true),
                Map.of("fp8_gradients", true),
                Map.of("offload_optimizer", "file"),
                Map.of("use_galore", true, "galore_rank", 8L),
                Map.of(
                        "activation_checkpointing",
                        2L,
                        "layers",
                        5L,
                        "fp8_activations",
                        true,
                        "fp8_gradients",
                        true,
                        "use_galore",
                        true,
                        "galore_rank",
                        8L,
                        "offload_optimizer",
                        "file"));
    }

    @ParameterizedTest
    @MethodSource("techniques")
    void plannedAndMeasuredPeaksAgree(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(Map.of(
                "steps",
                2L,
                "d_model",
                64L,
                "context",
                128L,
                "batch",
                8L,
                "layers",
                4L,
                "galore_refresh_interval",
                1L));
        keys.putAll(changes);
        for (int threads = 1; threads <= 2; threads++) {
            try (Run run = new Run(threads, keys)) {
                run.trainer.run("planned", TrainerTest.SILENT);
                Ledger ledger = run.device.ledger();
                ElementType iterates = run.device.isFast(ElementType.BF16) ? ElementType.BF16 : ElementType.F32;
                MemoryPlan plan = GptPlan.of(
                        TrainerTest.preset(keys),
                        new PlannedDevice("cpu", false, threads, iterates),
                        run.data.trainingTokens() + run.data.validationTokens(),
                        false);
                for (Purpose purpose : Purpose.values()) {
                    if (purpose != Purpose.DATA && purpose != Purpose.WORKSPACE) {
                        assertEquals(ledger.bytes(purpose), plan.bytes(purpose), purpose + " with " + changes);
                    }
                }
                // What oneDNN's products need differs from processor to processor, and is much beside so small a model.
                assertNear(
                        ledger.total() - ledger.bytes(Purpose.WORKSPACE),
                        plan.total() - plan.bytes(Purpose.WORKSPACE),
                        changes + ": " + ledger + " " + plan);
                run.trainer
                        .optimizer()
                        .stateBytesByOptimizer()
                        .forEach((optimizer, bytes) ->
                                assertEquals(bytes, plan.stateByOptimizer().get(optimizer)));
            }
        }
    }

    private static void assertNear(long measured, long planned, Object what) {
        double error = (planned - measured) / (double) measured;
        assertTrue(Math.abs(error) < 0.02, () -> what + ": " + planned + " planned, " + measured + " measured");
    }

    @ParameterizedTest
    @CsvSource({"tiny, 1", "tiny, 2", "test-8bit, 1", "test-8bit, 2"})
    void theBuiltInPresetsAreAsPlanned(String name, int threads) {
        Preset preset = PresetFile.read(name, Map.of("steps", "2", "eval_batches", "1"));
        Tokenizer tokenizer = name.equals("tiny") ? new ByteTokenizer() : new GptBpe();
        try (Device device = Device.cpu(threads);
                TextData data = new TextData(
                        device,
                        tokenizer,
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, tokenizer, data)) {
            trainer.trainStep();
            ElementType iterates = device.isFast(ElementType.BF16) ? ElementType.BF16 : ElementType.F32;
            MemoryPlan plan = GptPlan.of(
                    preset,
                    new PlannedDevice("cpu", false, threads, iterates),
                    data.trainingTokens() + data.validationTokens(),
                    false);
            System.out.println("plan " + name + " " + threads + ": " + plan.peak() + " planned, "
                    + device.ledger().peak() + " measured; workspace "
                    + device.ledger().bytes(Purpose.WORKSPACE) + " / " + plan.bytes(Purpose.WORKSPACE));
            assertNear(device.ledger().peak(), plan.peak(), name);
        }
    }

    /** By hand: two bytes a bf16 value; n + 4·n/128 bytes of INT8 momentum, twice that for 8-bit AdamW. 50257 rows of 768 or 2560 are whole blocks of 128 as well. */
    @Test
    void theBriefsModelsAreThoseOfTheFormulas() {
        long matrices282 = 24L * (4L * 768 * 768 + 3L * 768 * 2688);
        long tables282 = 2L * 50257 * 768;
        MemoryPlan d20 = GptPlan.of(PresetFile.read("d20-e3-full", Map.of()), PlannedDevice.gpu(), 1, false);
        assertEquals(282_453_504L, matrices282 + tables282);
        assertEquals(2 * (matrices282 + tables282), d20.bytes(Purpose.WEIGHTS));
        assertEquals(4 * (matrices282 + tables282), d20.bytes(Purpose.MASTER_WEIGHTS));
        assertEquals(4 * (matrices282 + tables282), d20.bytes(Purpose.GRADIENTS));
        assertEquals(matrices282 + matrices282 / 32, d20.stateByOptimizer().get("muon"));
        assertEquals(2 * (tables282 + tables282 / 32), d20.stateByOptimizer().get("adamw"));
        MemoryPlan fp32 = GptPlan.of(
                PresetFile.read("d20-e3-full", Map.of("use_8bit_optim", "false")), PlannedDevice.gpu(), 1, false);
        assertEquals(4 * matrices282 + 8 * tables282, fp32.bytes(Purpose.OPTIMIZER_STATE));

        long matrices3b = 34L * (2L * 2560 * 2560 + 2L * 640 * 2560 + 3L * 2560 * 8960);
        long tables3b = 50257L * 2560;
        MemoryPlan medium = GptPlan.of(PresetFile.read("medium-3b", Map.of()), PlannedDevice.gpu(), 1, false);
        assertEquals(2 * (matrices3b + tables3b), medium.bytes(Purpose.WEIGHTS));
        assertEquals(2 * (matrices3b + tables3b), medium.bytes(Purpose.GRADIENTS));
        assertEquals(matrices3b + matrices3b / 32, medium.stateByOptimizer().get("muon"));
        assertEquals(2 * (tables3b + tables3b / 32), medium.stateByOptimizer().get("adamw"));
        assertTrue(medium.peak() < 22_000_000_000L, () -> "the 3B model: " + medium);
    }
}
