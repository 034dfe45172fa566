package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.Bf16;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Training on a GPU, or on an emulated one, beside the CPU. */
@CudaTest
final class TrainerCudaTest {
    private static final int STEPS = 20;
    private static final TrainingListener SILENT = new TrainingListener() {};

    private static Preset preset(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(
                Map.of("layers", 2L, "d_model", 32L, "heads", 2L, "context", 24L, "batch", 2L, "steps", (long) STEPS));
        keys.putAll(Map.of(
                "warmup_steps", 2L, "momentum_warmup_steps", 20L, "eval_batches", 1L, "head_lr", 0.02, "seed", 11L));
        keys.putAll(changes);
        return Preset.of("small", keys);
    }

    private record Result(RunResult run, List<float[]> weights, String sample) {}

    private static Result train(Device opened, Map<String, Object> changes) {
        Preset preset = preset(changes);
        ByteTokenizer bytes = new ByteTokenizer();
        try (Device device = opened;
                TextData data = new TextData(
                        device,
                        bytes,
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, bytes, data)) {
            RunResult run = trainer.run("run", SILENT);
            List<float[]> weights = trainer.gpt().parameters().stream()
                    .map(p -> p.weights().toFloatArray())
                    .toList();
            return new Result(run, weights, trainer.sample("the ", 4, 0.8, 5));
        }
    }

    @Test
    void fp32LearnsAsOnTheCpu() {
        Map<String, Object> fp32 = Map.of("precision", "f32", "use_8bit_optim", false);
        RunResult cpu = train(CpuBeside.open(1), fp32).run();
        RunResult cuda = train(Device.cuda(), fp32).run();
        assertEquals(
                cpu.trainLoss().getFirst(),
                cuda.trainLoss().getFirst(),
                1e-5 * cpu.trainLoss().getFirst());
        assertEquals(cpu.valLoss(), cuda.valLoss(), 0.02 * cpu.valLoss());
        assertLearned(cuda);
        assertTrue(cuda.peakDeviceGrowth() >= 0);
        assertEquals(-1, cpu.peakDeviceGrowth());
    }

    @Test
    void bf16WithMasterWeightsLearnsAsFp32() {
        RunResult cpu = train(CpuBeside.open(1), Map.of()).run();
        Result mixed = train(Device.cuda(), Map.of());
        assertLearned(mixed.run());
        assertEquals(cpu.valLoss(), mixed.run().valLoss(), 0.05 * cpu.valLoss());
        assertTrue(mixed.run().masterWeightsBytes() >= 2 * mixed.run().weightsBytes());
        assertTrue(mixed.sample().startsWith("the "));
    }

    /** As medium-3b is trained: no FP32 copy of anything, the updates rounded stochastically. */
    @Test
    void bf16AloneLearns() {
        RunResult run = train(
                        Device.cuda(),
                        Map.of(
                                "gradients",
                                "bf16",
                                "master_weights",
                                false,
                                "mlp",
                                "gated",
                                "mlp_factor",
                                2L,
                                "kv_heads",
                                1L,
                                "weight_tied",
                                true,
                                "embedding_lr",
                                0.01,
                                "grad_accum_steps",
                                2L))
                .run();
        assertLearned(run);
        assertEquals(0, run.masterWeightsBytes());
        assertEquals(run.weightsBytes(), run.gradientsBytes());
    }

    private static void assertLearned(RunResult run) {
        assertEquals(STEPS, run.trainLoss().size());
        assertEquals(0, run.nonFiniteSteps());
        double first = run.trainLoss().getFirst();
        double last = run.trainLoss().getLast();
        assertEquals(Math.log(256), first, 0.1);
        assertTrue(last < first - 1, () -> "from " + first + " to " + last);
    }

    @Test
    void everyRunGivesTheSameBits() {
        List<Result> results = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            results.add(train(Device.cuda(), Map.of("steps", 4L, "master_weights", false)));
        }
        assertEquals(results.get(0).run().trainLoss(), results.get(1).run().trainLoss());
        assertEquals(results.get(0).run().valLoss(), results.get(1).run().valLoss());
        assertEquals(results.get(0).sample(), results.get(1).sample());
        for (int p = 0; p < results.get(0).weights().size(); p++) {
            assertArrayEquals(
                    results.get(0).weights().get(p), results.get(1).weights().get(p));
        }
    }

    @Test
    void theWeightsAreTheRoundedMasterWeightsAfterEveryStep() {
        Preset preset = preset(Map.of());
        ByteTokenizer bytes = new ByteTokenizer();
        try (Device device = Device.cuda();
                TextData data = new TextData(
                        device,
                        bytes,
                        "the text",
                        TrainerTest.text(),
                        preset.model().context());
                Trainer trainer = new Trainer(device, preset, bytes, data)) {
            for (int step = 0; step < 3; step++) {
                trainer.trainStep();
                for (GptParameter parameter : trainer.gpt().parameters()) {
                    float[] weights = parameter.weights().toFloatArray();
                    float[] masters = masters(trainer, parameter);
                    boolean differs = false;
                    for (int i = 0; i < weights.length; i++) {
                        assertEquals(Bf16.toFloat(Bf16.fromFloat(masters[i])), weights[i], parameter.name());
                        differs |= masters[i] != weights[i];
                    }
                    // The first gradients of what stands before a matrix of zeros are 0.
                    assertTrue(
                            differs || step < 2,
                            () -> "the masters of " + parameter.name() + " hold nothing that bf16 does not");
                }
            }
        }
    }

    private static float[] masters(Trainer trainer, GptParameter parameter) {
        StateTensor state = trainer.optimizer().state(parameter.name()).tensor("master_weights");
        return state.codes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    @Test
    void aStepAllocatesNothingAfterTheFirst() {
        Preset preset = preset(Map.of());
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
            long allocations = device.ledger().allocations();
            trainer.trainStep();
            trainer.validate();
            assertEquals(allocations, device.ledger().allocations());
        }
    }
}
