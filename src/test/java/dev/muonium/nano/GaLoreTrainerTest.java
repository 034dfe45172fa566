package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.input.PresetFile;
import dev.muonium.device.Device;
import dev.muonium.lowrank.GaLore;
import dev.muonium.lowrank.LowRankOptimizer;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.nano.TrainerTest.Run;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.WeightRounding;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A GPT whose blocks are trained by low-rank gradients. */
class GaLoreTrainerTest {
    private static double lastLoss(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(Map.of(
                "steps",
                80L,
                "use_galore",
                true,
                "galore_rank",
                8L,
                "galore_refresh_interval",
                10L,
                "galore_scale",
                1.0));
        keys.putAll(changes);
        try (Run run = new Run(2, keys)) {
            return run.trainer.run("galore", TrainerTest.SILENT).valLoss();
        }
    }

    @Test
    void learnsWithBothOptimizersAndFormats() {
        double untrained = Math.log(256);
        double frozenBlocks = lastLoss(Map.of("use_galore", false, "matrix_lr", 0.0));
        for (Map<String, Object> changes : List.of(
                Map.<String, Object>of(),
                Map.<String, Object>of("use_8bit_optim", false),
                Map.<String, Object>of("matrix_optimizer", "adamw", "matrix_lr", 0.01),
                Map.<String, Object>of("grad_accum_steps", 2L, "batch", 2L, "activation_checkpointing", "block"))) {
            double loss = lastLoss(changes);
            assertTrue(
                    loss < 0.6 * untrained && loss < frozenBlocks,
                    () -> changes + ": " + loss + " against " + frozenBlocks);
        }
    }

    @Test
    void gradientsAndStateLiveInRankSpace() {
        Map<String, Object> keys = Map.of("use_galore", true, "galore_rank", 4L, "use_8bit_optim", false);
        try (Run plain = new Run(1, Map.of("use_8bit_optim", false));
                Run run = new Run(1, keys)) {
            GptConfig model = TrainerTest.preset(keys).model();
            long matrices = model.parameterCount() - 2L * model.vocab() * model.dModel();
            long ranks = 0;
            long projections = 0;
            for (ParameterDescription parameter : model.parameters()) {
                if (parameter.kind() == ParameterKind.MATRIX) {
                    long small = Math.min(
                            parameter.shape().extent(0), parameter.shape().extent(1));
                    ranks += 4 * parameter.elements() / small;
                    projections += 4 * small;
                }
            }
            long block = matrices / model.layers();
            assertEquals(
                    4 * (matrices - block - ranks), bytes(plain, Purpose.GRADIENTS) - bytes(run, Purpose.GRADIENTS));
            assertEquals(
                    4 * (matrices - ranks - projections),
                    bytes(plain, Purpose.OPTIMIZER_STATE) - bytes(run, Purpose.OPTIMIZER_STATE));
        }
    }

    private static long bytes(Run run, Purpose purpose) {
        return run.device.ledger().bytes(purpose);
    }

    /** d20-e3-full at a 16th of the smaller side: R of all matrices, and the full gradient of the one block that backward is at. */
    @Test
    void gradientsOfThe282MModelTakeAnEighthOrLess() {
        GptConfig model = PresetFile.read("d20-e3-full", Map.of()).model();
        int rank = model.dModel() / 16;
        try (Device device = Device.cpu(1);
                Tensor memory = device.allocate(
                        Purpose.WEIGHTS,
                        "shared by all",
                        ElementType.F32,
                        Shape.of((long) model.mlpWidth() * model.dModel()));
                Optimizer optimizer =
                        Optimizer.builder(device).group(Muon.defaults()).build();
                LowRankOptimizer lowRank =
                        new LowRankOptimizer(device, optimizer, GaLore.ofRank(rank), WeightRounding.NEAREST)) {
            long full = 0;
            for (ParameterDescription parameter : model.parameters()) {
                if (parameter.kind() == ParameterKind.MATRIX) {
                    full += 4 * parameter.elements();
                    lowRank.add(
                            Tensor.borrow(parameter.name(), ElementType.F32, parameter.shape(), memory.segment()),
                            "muon");
                }
            }
            long projected = device.ledger().bytes(Purpose.GRADIENTS);
            long transientBytes = full / model.layers();
            double saved = 1 - (projected + transientBytes) / (double) full;
            System.out.printf(
                    "GaLore, d20-e3-full, rank %d: %,d bytes of gradients of matrices instead of %,d, %.1f %% less%n",
                    rank, projected + transientBytes, full, 100 * saved);
            assertTrue(saved >= 0.85, () -> "only " + saved);
        }
    }
}
