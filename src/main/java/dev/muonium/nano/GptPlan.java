package dev.muonium.nano;

import dev.muonium.memory.CountingAllocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.optim.ParameterKind;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.MemoryPlanner;
import dev.muonium.plan.PlannedDevice;
import dev.muonium.plan.PlannedParameter;
import java.util.ArrayList;
import java.util.List;

/** What a preset's run will hold in memory, without making it: the model's own allocation, run on an allocator that only counts. */
public final class GptPlan {
    private GptPlan() {}

    /**
     * Plans a run.
     *
     * @param device what it would run on
     * @param textTokens tokens of the text, which lie in memory as well (a byte each, or 4 bytes for more than 256 different ones)
     * @param saves whether the run saves checkpoints
     */
    public static MemoryPlan of(Preset preset, PlannedDevice device, long textTokens, boolean saves) {
        GptConfig model = preset.model();
        TrainConfig training = preset.training();
        Precision precision = precision(preset, device);
        Grain grain = device.cuda() ? Grain.WHOLE : Grain.TILES;
        CountingAllocator counting = new CountingAllocator(device.alignment());
        OwnedTensors memory = new OwnedTensors(counting);
        GptTensors.allocate(
                memory,
                model,
                training.batch(),
                GptOptions.of(precision, training.techniques()),
                grain,
                device.fp8Products());
        if (grain == Grain.TILES) {
            CausalAttention.allocate(memory, model, device.workers());
        }
        data(memory, preset, textTokens);
        return MemoryPlanner.plan(
                device,
                parameters(preset),
                counting.ledger().byPurpose(),
                precision.masterWeights(),
                GptOptimizer.placement(training.techniques()),
                saves && training.saving().inBackground());
    }

    /** The element types that it would be trained in. */
    public static Precision precision(Preset preset, PlannedDevice device) {
        return preset.training().precision().on(!device.cuda());
    }

    private static void data(OwnedTensors memory, Preset preset, long textTokens) {
        long rows = (long) preset.training().batch() * preset.model().context();
        memory.tensor(Purpose.DATA, "losses on the host", ElementType.F64, Shape.of(rows));
        memory.tensor(Purpose.DATA, "batch", ElementType.I32, Shape.of(rows));
        memory.tensor(Purpose.DATA, "targets", ElementType.I32, Shape.of(rows));
        ElementType token = preset.model().vocab() <= 256 ? ElementType.U8 : ElementType.I32;
        memory.tensor(Purpose.DATA, "text", token, Shape.of(Math.max(1, textTokens)));
    }

    private static List<PlannedParameter> parameters(Preset preset) {
        TrainConfig training = preset.training();
        Techniques techniques = training.techniques();
        List<PlannedParameter> parameters = new ArrayList<>();
        for (ParameterDescription parameter : preset.model().parameters()) {
            boolean projected = techniques.useGalore() && parameter.kind() == ParameterKind.MATRIX;
            parameters.add(new PlannedParameter(
                    parameter.name(),
                    parameter.shape(),
                    GptOptimizer.groupOf(training, parameter.kind()),
                    projected ? techniques.galoreRank() : 0));
        }
        return parameters;
    }
}
