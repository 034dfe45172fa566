package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.memory.Purpose;
import dev.muonium.nano.TrainerTest.Run;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Micro-batches of a step against one batch as large as all of them; one tied table against two. */
class AccumulationTest {
    private static Map<String, Object> keys(long batch, long microBatches, boolean tied) {
        return new HashMap<>(Map.of(
                "batch",
                batch,
                "grad_accum_steps",
                microBatches,
                "weight_tied",
                tied,
                "embedding_lr",
                0.02,
                "steps",
                3L,
                "clip",
                0.0));
    }

    /** Gradients are compared after one step, which leaves them as they were accumulated; losses after three. */
    @ParameterizedTest
    @CsvSource({"2, 4, false", "2, 4, true", "1, 8, false", "4, 2, true"})
    void microBatchesAreOneLargeBatch(long batch, long microBatches, boolean tied) {
        try (Run large = new Run(2, keys(8, 1, tied));
                Run small = new Run(2, keys(batch, microBatches, tied))) {
            large.trainer.trainStep();
            small.trainer.trainStep();
            List<GptParameter> expected = large.trainer.gpt().parameters();
            List<GptParameter> actual = small.trainer.gpt().parameters();
            for (int p = 0; p < expected.size(); p++) {
                float[] a = expected.get(p).gradient().toFloatArray();
                float[] b = actual.get(p).gradient().toFloatArray();
                double difference = 0;
                double norm = 0;
                for (int i = 0; i < a.length; i++) {
                    difference += Math.pow(a[i] - b[i], 2);
                    norm += Math.pow(a[i], 2);
                }
                double error = Math.sqrt(difference / norm);
                String name = expected.get(p).name();
                // At the start the last matrix of each branch is 0, and so are the gradients of the others.
                assertTrue(norm == 0 ? difference == 0 : error < 2e-6, () -> name + " is off by " + error);
            }
            TrainStep a = large.trainer.trainStep();
            TrainStep b = small.trainer.trainStep();
            assertEquals(a.loss(), b.loss(), 1e-4);
            assertTrue(bytes(small, Purpose.ACTIVATIONS) < bytes(large, Purpose.ACTIVATIONS) * (batch + 1.5) / 8);
            assertEquals(bytes(large, Purpose.GRADIENTS), bytes(small, Purpose.GRADIENTS));
        }
    }

    @ParameterizedTest
    @CsvSource({"true", "false"})
    void aTiedTableIsCountedOnce(boolean eightBits) {
        Map<String, Object> untied = keys(2, 1, false);
        Map<String, Object> tied = keys(2, 1, true);
        untied.put("use_8bit_optim", eightBits);
        tied.put("use_8bit_optim", eightBits);
        try (Run two = new Run(1, untied);
                Run one = new Run(1, tied)) {
            long table = 256L * 32;
            assertEquals(
                    table,
                    two.trainer.gpt().config().parameterCount()
                            - one.trainer.gpt().config().parameterCount());
            assertEquals(4 * table, bytes(two, Purpose.WEIGHTS) - bytes(one, Purpose.WEIGHTS));
            assertEquals(4 * table, bytes(two, Purpose.GRADIENTS) - bytes(one, Purpose.GRADIENTS));
            long state = eightBits ? 2 * (table + table / 32) : 8 * table;
            assertEquals(state, bytes(two, Purpose.OPTIMIZER_STATE) - bytes(one, Purpose.OPTIMIZER_STATE));
        }
    }

    private static long bytes(Run run, Purpose purpose) {
        return run.device.ledger().bytes(purpose);
    }
}
