package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.PlannedDevice;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** On a GPU: what offloading saves and costs is as planned, to the byte. */
@CudaTest
class GptPlanCudaTest {
    private record Held(Map<Purpose, Long> measured, MemoryPlan planned) {}

    @ParameterizedTest
    @ValueSource(strings = {"host", "file"})
    void offloadedStateAndItsPlacesAreAsPlanned(String placement) {
        Held resident = run("none");
        Held offloaded = run(placement);
        for (Purpose purpose : new Purpose[] {Purpose.OFFLOADED_STATE, Purpose.OPTIMIZER_STATE}) {
            assertEquals(offloaded.measured().get(purpose), offloaded.planned().bytes(purpose), purpose.toString());
        }
        long places = offloaded.measured().get(Purpose.OPTIMIZER_WORKSPACE)
                - resident.measured().get(Purpose.OPTIMIZER_WORKSPACE);
        assertTrue(places > 0);
        assertEquals(
                places,
                offloaded.planned().bytes(Purpose.OPTIMIZER_WORKSPACE)
                        - resident.planned().bytes(Purpose.OPTIMIZER_WORKSPACE));
    }

    private static Held run(String placement) {
        Map<String, Object> keys = new HashMap<>(
                Map.of("layers", 2L, "d_model", 32L, "heads", 2L, "context", 16L, "batch", 1L, "steps", 1L));
        keys.putAll(Map.of("warmup_steps", 0L, "eval_batches", 1L, "offload_optimizer", placement));
        Preset preset = Preset.of("small", keys);
        ByteTokenizer bytes = new ByteTokenizer();
        try (Device device = Device.cuda();
                TextData data = new TextData(
                        device,
                        bytes,
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, bytes, data)) {
            trainer.trainStep();
            Ledger ledger = device.ledger();
            Map<Purpose, Long> measured = new EnumMap<>(Purpose.class);
            for (Purpose purpose : Purpose.values()) {
                measured.put(purpose, ledger.bytes(purpose));
            }
            return new Held(measured, GptPlan.of(preset, PlannedDevice.gpu(), 1, false));
        }
    }
}
