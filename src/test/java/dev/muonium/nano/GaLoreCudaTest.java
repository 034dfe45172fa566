package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Low-rank gradients and the other techniques together, on a GPU: bf16 weights with FP32 master weights. */
@CudaTest
class GaLoreCudaTest {
    @Test
    void learnsWithAllTechniques() {
        Preset preset = TrainerTest.preset(Map.ofEntries(
                Map.entry("steps", 12L),
                Map.entry("use_galore", true),
                Map.entry("galore_rank", 8L),
                Map.entry("galore_refresh_interval", 5L),
                Map.entry("galore_scale", 1.0),
                Map.entry("offload_optimizer", "host"),
                Map.entry("activation_checkpointing", "block"),
                Map.entry("fp8_activations", true),
                Map.entry("fp8_gradients", true),
                Map.entry("warmup_steps", 1L),
                Map.entry("grad_accum_steps", 2L)));
        try (Device device = Device.cuda();
                TextData data = new TextData(
                        device,
                        new ByteTokenizer(),
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, new ByteTokenizer(), data)) {
            RunResult result = trainer.run("all", TrainerTest.SILENT);
            assertTrue(result.valLoss() < 0.9 * result.trainLoss().getFirst(), () -> String.valueOf(result));
        }
    }
}
