package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.checkpoint.Checkpoint;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** On a GPU: a run that is saved and resumed ends with the bits of one that was not, wherever its state lies. */
@CudaTest
class ResumeCudaTest {
    @TempDir
    private Path temporary;

    static Stream<Map<String, Object>> configurations() {
        return Stream.of(
                Map.of("precision", "bf16", "master_weights", true),
                Map.of("precision", "bf16", "master_weights", false, "background_checkpoints", false),
                Map.of("use_8bit_optim", false, "offload_optimizer", "host"),
                Map.of("offload_optimizer", "file", "grad_accum_steps", 2L, "batch", 1L),
                Map.of(
                        "use_galore",
                        true,
                        "galore_rank",
                        8L,
                        "galore_refresh_interval",
                        2L,
                        "offload_optimizer",
                        "host"));
    }

    private static Preset preset(Map<String, Object> changes) {
        Map<String, Object> keys = new HashMap<>(
                Map.of("layers", 1L, "d_model", 32L, "heads", 2L, "context", 16L, "batch", 2L, "steps", 5L));
        keys.putAll(Map.of("warmup_steps", 1L, "eval_batches", 1L, "seed", 11L, "momentum_warmup_steps", 4L));
        keys.putAll(changes);
        return Preset.of("small", keys);
    }

    private static final class CudaRun implements AutoCloseable {
        final Device device = Device.cuda();
        final TextData data;
        final Trainer trainer;

        CudaRun(Map<String, Object> changes) {
            Preset preset = preset(changes);
            ByteTokenizer bytes = new ByteTokenizer();
            data = new TextData(
                    device,
                    bytes,
                    "the text",
                    TrainerTest.text(),
                    preset.model().context());
            trainer = new Trainer(device, preset, bytes, data);
        }

        Map<String, byte[]> bits() {
            Map<String, byte[]> bits = new LinkedHashMap<>();
            trainer.state()
                    .parts()
                    .forEach(part -> part.tensors()
                            .forEach(tensor -> bits.put(
                                    part.name() + "/" + tensor.name(),
                                    tensor.data().toArray(ValueLayout.JAVA_BYTE))));
            return bits;
        }

        @Override
        public void close() {
            trainer.close();
            data.close();
            device.close();
        }
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void aResumedRunHasTheSameBits(Map<String, Object> changes) {
        boolean inBackground = !Boolean.FALSE.equals(changes.get("background_checkpoints"));
        Map<String, byte[]> expected;
        try (CudaRun run = new CudaRun(changes)) {
            for (int step = 0; step < 5; step++) {
                run.trainer.trainStep();
            }
            expected = run.bits();
        }
        try (CudaRun run = new CudaRun(changes);
                CheckpointSaver saver =
                        new CheckpointSaver(run.device, CheckpointFolder.open(temporary, 3), inBackground)) {
            run.trainer.trainStep();
            run.trainer.trainStep();
            long total = run.device.ledger().total();
            run.trainer.save(saver);
            long copy = run.device.ledger().bytes(Purpose.CHECKPOINT);
            assertTrue(copy > 0, "the copy is in the ledger");
            assertEquals(total + copy, run.device.ledger().total(), "and the only one");
            run.trainer.trainStep();
            saver.await();
            assertTrue(saver.failure().isEmpty());
        }
        Map<String, Object> elsewhere = new HashMap<>(changes);
        if (changes.containsKey("offload_optimizer")) {
            elsewhere.put("offload_optimizer", "none"); // where the state lies is not a part of the state
        } else {
            elsewhere.put("offload_optimizer", "host");
        }
        for (Map<String, Object> resumed : List.of(changes, elsewhere)) {
            try (CudaRun run = new CudaRun(resumed);
                    Checkpoint checkpoint =
                            CheckpointFolder.newest(temporary).checkpoint().orElseThrow()) {
                assertTrue(checkpoint.values().get(CheckpointSaver.VERSION).startsWith("0."));
                run.trainer.resume(checkpoint);
                for (int step = 2; step < 5; step++) {
                    run.trainer.trainStep();
                }
                Map<String, byte[]> bits = run.bits();
                assertEquals(expected.keySet(), bits.keySet());
                expected.forEach((name, bytes) -> assertArrayEquals(bytes, bits.get(name), name));
            }
        }
    }
}
