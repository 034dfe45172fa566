package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class TrainerTest {
    private static final ByteTokenizer BYTES = new ByteTokenizer();

    /** Sentences with a rule to learn; 12 kB. */
    static byte[] text() {
        StringBuilder text = new StringBuilder();
        String[] subjects = {"the cat", "a dog", "my neighbour", "every senator"};
        String[] verbs = {" saw", " heard", " greeted"};
        for (int i = 0; text.length() < 12_000; i++) {
            text.append(subjects[i * 7 % 4])
                    .append(verbs[i * 5 % 3])
                    .append(' ')
                    .append(subjects[i * 3 % 4])
                    .append(".\n");
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    static Preset preset(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(
                Map.of("layers", 2L, "d_model", 32L, "heads", 2L, "context", 24L, "batch", 4L, "steps", 30L));
        keys.putAll(Map.of(
                "warmup_steps", 5L, "momentum_warmup_steps", 20L, "eval_batches", 4L, "head_lr", 0.02, "seed", 11L));
        keys.putAll(changes);
        return Preset.of("small", keys);
    }

    /** A trainer with its device and text. */
    static final class Run implements AutoCloseable {
        final Device device;
        final TextData data;
        final Trainer trainer;

        Run(int threads, Map<String, Object> changes) {
            Preset preset = preset(changes);
            device = Device.cpu(threads);
            data = new TextData(
                    device, BYTES, "the text", text(), preset.model().context());
            trainer = new Trainer(device, preset, BYTES, data);
        }

        @Override
        public void close() {
            trainer.close();
            data.close();
            assertEquals(0, device.ledger().total() - device.ledger().bytes(Purpose.WORKSPACE));
            device.close();
            assertEquals(0, device.ledger().total());
        }
    }

    static final TrainingListener SILENT = new TrainingListener() {};

    @Test
    void learnsMoreThanLetterStatistics() {
        try (Run run = new Run(2, Map.of("steps", 120L))) {
            RunResult result = run.trainer.run("int8", SILENT);
            assertEquals(Math.log(256), result.trainLoss().getFirst(), 0.05);
            assertTrue(
                    result.valLoss() < TextData.orderTwoCrossEntropy(text()),
                    () -> result.valLoss() + " nats against " + TextData.orderTwoCrossEntropy(text()));
        }
    }

    @Test
    void bitsDoNotDependOnTheNumberOfThreads() {
        List<RunResult> results = new ArrayList<>();
        for (int threads = 1; threads <= 3; threads++) {
            try (Run run = new Run(threads, Map.of("grad_accum_steps", 2L, "steps", 6L))) {
                results.add(run.trainer.run("int8", SILENT));
            }
        }
        for (RunResult other : results) {
            assertEquals(results.getFirst().trainLoss(), other.trainLoss());
            assertEquals(results.getFirst().valLoss(), other.valLoss());
        }
    }

    @Test
    void seedsGiveDifferentRuns() {
        try (Run one = new Run(1, Map.of("steps", 2L));
                Run other = new Run(1, Map.of("steps", 2L, "seed", 12L))) {
            assertTrue(one.trainer.run("one", SILENT).valLoss()
                    != other.trainer.run("other", SILENT).valLoss());
        }
    }

    /** Two micro-batches of one sequence see other places than one batch of two, but their gradients are averaged the same way. */
    @Test
    void accumulationAveragesGradients() {
        try (Run once = new Run(1, Map.of("clip", 0L));
                Run twice = new Run(1, Map.of("clip", 0L, "grad_accum_steps", 2L))) {
            double one = once.trainer.trainStep().gradientNorm();
            double two = twice.trainer.trainStep().gradientNorm();
            assertTrue(two > 0.5 * one && two < 1.1 * one, () -> two + " against " + one);
        }
    }

    @Test
    void eightBitStateIsAQuarterOfTheBytes() {
        try (Run int8 = new Run(1, Map.of("steps", 2L));
                Run fp32 = new Run(1, Map.of("steps", 2L, "use_8bit_optim", false))) {
            RunResult small = int8.trainer.run("int8", SILENT);
            RunResult large = fp32.trainer.run("fp32", SILENT);
            GptConfig config = int8.trainer.gpt().config();
            long tables = 2L * config.vocab() * config.dModel();
            long matrices = config.parameterCount() - tables;
            assertEquals(4 * matrices + 8 * tables, fp32.trainer.optimizer().stateBytes());
            assertEquals(
                    fp32.trainer.optimizer().stateBytes() / 128 * 33,
                    int8.trainer.optimizer().stateBytes());
            assertTrue(small.optimizerStateBytes() < 0.26 * large.optimizerStateBytes());
            assertEquals(
                    Set.of("muon", "adamw"),
                    small.optimizerStateBytesByOptimizer().keySet());
            assertTrue(small.peakLedgerBytes() < large.peakLedgerBytes());
        }
    }

    @Test
    void reportsWhatTheRunShowed() {
        List<Integer> steps = new ArrayList<>();
        List<Integer> validations = new ArrayList<>();
        try (Run run = new Run(2, Map.of("steps", 7L, "eval_every", 3L))) {
            RunResult result = run.trainer.run("name", new TrainingListener() {
                @Override
                public void stepped(TrainStep step) {
                    steps.add(step.step());
                }

                @Override
                public void validated(int step, double loss) {
                    validations.add(step);
                }
            });
            assertEquals(List.of(1, 2, 3, 4, 5, 6, 7), steps);
            assertEquals(List.of(3, 6, 7), validations);
            assertEquals("name", result.name());
            assertEquals(7, result.trainLoss().size());
            assertEquals(0, result.nonFiniteSteps());
            assertEquals(run.device.ledger().bytes(Purpose.OPTIMIZER_STATE), result.optimizerStateBytes());
            assertEquals(run.device.ledger().bytes(Purpose.WEIGHTS), result.weightsBytes());
            assertEquals(4 * 24 * 1000.0 / result.stepMsMedian(), result.tokensPerSecond(), 1e-9);
            assertTrue(result.peakRssBytes() > result.peakLedgerBytes());
        }
    }

    @Test
    void aStepAllocatesNothingAfterTheFirst() {
        try (Run run = new Run(2, Map.of())) {
            run.trainer.trainStep();
            long allocations = run.device.ledger().allocations();
            run.trainer.trainStep();
            run.trainer.validate();
            assertEquals(allocations, run.device.ledger().allocations());
        }
    }

    @Test
    void aTiedModelTrains() {
        try (Run run =
                new Run(2, Map.of("weight_tied", true, "embedding_lr", 0.01, "mlp", "gated", "mlp_factor", 2L))) {
            RunResult result = run.trainer.run("tied", SILENT);
            assertTrue(result.valLoss() < 4, () -> "after 30 steps " + result.valLoss());
            assertTrue(!run.trainer.optimizer().describe().contains("head"));
        }
    }

    @Test
    void samplesTheSameTextTwice() {
        try (Run run = new Run(2, Map.of())) {
            run.trainer.trainStep();
            String text = run.trainer.sample("the ", 10, 0.8, 5);
            assertTrue(text.startsWith("the "));
            assertEquals(text, run.trainer.sample("the ", 10, 0.8, 5));
            assertEquals(
                    "the prompt is empty; a sample begins with at least one token",
                    assertThrows(IllegalArgumentException.class, () -> run.trainer.sample("", 10, 0.8, 5))
                            .getMessage());
        }
    }

    @Test
    void refusesATextOrTokensThatDoNotFit() {
        Preset preset = preset(Map.of());
        try (Device device = Device.cpu(1);
                TextData data = new TextData(device, BYTES, "the text", text(), 25)) {
            assertEquals(
                    "the text is cut into sequences of 25 tokens and the model takes 24; both must be the same",
                    assertThrows(IllegalArgumentException.class, () -> new Trainer(device, preset, BYTES, data))
                            .getMessage());
            Preset gpt2 = preset(Map.of("tokenizer", "gpt2"));
            assertEquals(
                    "the tokenizer 'byte' has 256 tokens and the model 50257; both must be the same",
                    assertThrows(IllegalArgumentException.class, () -> new Trainer(device, gpt2, BYTES, data))
                            .getMessage());
        }
    }

    @Test
    void medians() {
        assertEquals(2, Trainer.median(List.of(3.0, 1.0, 2.0)));
        assertEquals(1.5, Trainer.median(List.of(2.0, 1.0)));
        assertTrue(Double.isNaN(Trainer.median(List.of())));
    }
}
