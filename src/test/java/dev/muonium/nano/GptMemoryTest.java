package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.input.PresetFile;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.CountingAllocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import java.util.EnumMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a model needs on a device, counted by the code that allocates it, without allocating it. */
final class GptMemoryTest {
    /** Of the memory of a CPU; that of a GPU is coarser, by nothing that matters. */
    private static final long ALIGNMENT = 64;

    private static final long GB = 1_000_000_000L;

    @Test
    void whatIsCountedIsWhatAModelAllocates() {
        GptConfig config = GptContract.shape();
        try (Device device = Device.cpu(1);
                Gpt gpt = new Gpt(device, config, 3, Precision.FP32, 1, Grain.WHOLE)) {
            Ledger counted = count(config, 3, gpt.precision());
            for (Purpose purpose : new Purpose[] {Purpose.WEIGHTS, Purpose.GRADIENTS, Purpose.ACTIVATIONS}) {
                assertEquals(counted.bytes(purpose), device.ledger().bytes(purpose), purpose::name);
            }
        }
    }

    /** Batch 1, context 1024. What the optimizer's workspace and the driver's own memory come to is taken amply. */
    @Test
    void medium3bFitsInto24GB() {
        Preset preset = PresetFile.read("medium-3b", Map.of());
        GptConfig config = preset.model();
        assertEquals(1, preset.training().batch());
        assertEquals(1024, config.context());
        Precision precision = new Precision(ElementType.BF16, ElementType.BF16, false);
        assertEquals(
                new PrecisionChoice(PrecisionChoice.Type.BF16, PrecisionChoice.Type.BF16, false),
                preset.training().precision());

        Map<Purpose, Long> need = need(preset, precision);
        assertEquals(2 * config.parameterCount(), need.get(Purpose.WEIGHTS));
        assertEquals(2 * config.parameterCount(), need.get(Purpose.GRADIENTS));
        long optimizerWorkspace = 2L * (512 << 20);
        long driverAndLibraries = 3 * GB / 2;
        long total = need.values().stream().mapToLong(Long::longValue).sum() + optimizerWorkspace + driverAndLibraries;
        assertTrue(total < 24 * GB, () -> total + " bytes: " + need);
    }

    /** FP32 gradients or master weights alone do not fit: why the preset has neither. */
    @Test
    void medium3bDoesNotFitOtherwise() {
        Preset preset = PresetFile.read("medium-3b", Map.of());
        for (Precision precision : new Precision[] {
            Precision.FP32,
            Precision.MIXED,
            new Precision(ElementType.BF16, ElementType.F32, false),
            new Precision(ElementType.BF16, ElementType.BF16, true)
        }) {
            Map<Purpose, Long> need = need(preset, precision);
            long total = need.values().stream().mapToLong(Long::longValue).sum();
            assertTrue(total > 23 * GB, () -> precision.describe() + ": " + need);
        }
    }

    private static Map<Purpose, Long> need(Preset preset, Precision precision) {
        GptConfig config = preset.model();
        Map<Purpose, Long> need = new EnumMap<>(Purpose.class);
        need.putAll(count(config, preset.training().batch(), precision).byPurpose());
        long state = 0;
        for (ParameterDescription parameter : config.parameters()) {
            long n = parameter.elements();
            int block = BlockFormat.DEFAULT_BLOCK;
            state += switch (parameter.kind()) {
                case MATRIX -> BlockFormat.INT8_LINEAR.bytes(n, block);
                default ->
                    BlockFormat.INT8_DYNAMIC_SIGNED.bytes(n, block) + BlockFormat.INT8_DYNAMIC_UNSIGNED.bytes(n, block);
            };
        }
        need.put(Purpose.OPTIMIZER_STATE, state);
        need.put(Purpose.MASTER_WEIGHTS, precision.masterWeights() ? 4 * config.parameterCount() : 0);
        return need;
    }

    private static Ledger count(GptConfig config, int batch, Precision precision) {
        CountingAllocator counting = new CountingAllocator(ALIGNMENT);
        GptTensors.allocate(new OwnedTensors(counting), config, batch, GptOptions.of(precision), Grain.WHOLE, false);
        return counting.ledger();
    }
}
