package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.checkpoint.Checkpoint;
import dev.muonium.checkpoint.CheckpointException;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.TrainerTest.Run;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A run that is saved and resumed ends with the bits of one that was not. */
class ResumeTest {
    private static final Map<String, Object> SHORT =
            Map.of("steps", 8L, "warmup_steps", 2L, "momentum_warmup_steps", 6L, "checkpoint_every", 2L);

    @TempDir
    private Path temporary;

    private static Map<String, Object> keys(Object... changes) {
        Map<String, Object> keys = new HashMap<>(SHORT);
        for (int i = 0; i < changes.length; i += 2) {
            keys.put((String) changes[i], changes[i + 1]);
        }
        return keys;
    }

    static Stream<Map<String, Object>> configurations() {
        return Stream.of(
                keys(),
                keys("use_8bit_optim", false, "background_checkpoints", false),
                keys("matrix_optimizer", "adamw", "matrix_lr", 0.003),
                keys("matrix_optimizer", "adamw", "matrix_lr", 0.003, "use_8bit_optim", false),
                keys("grad_accum_steps", 3L, "batch", 2L, "weight_tied", true, "embedding_lr", 0.02),
                keys("offload_optimizer", "file"),
                keys("use_galore", true, "galore_rank", 8L, "galore_refresh_interval", 2L, "grad_accum_steps", 2L),
                keys("activation_checkpointing", "block", "fp8_activations", true, "fp8_gradients", true));
    }

    private static CheckpointSaver saver(Run run, Path folder, Map<String, Object> keys) {
        boolean inBackground = !Boolean.FALSE.equals(keys.get("background_checkpoints"));
        return new CheckpointSaver(run.device, CheckpointFolder.open(folder, 3), inBackground);
    }

    private static void resume(Trainer trainer, Path folder) {
        try (Checkpoint checkpoint =
                CheckpointFolder.newest(folder).checkpoint().orElseThrow()) {
            trainer.resume(checkpoint);
        }
    }

    private static Map<String, byte[]> bits(Trainer trainer) {
        Map<String, byte[]> bits = new HashMap<>();
        trainer.state()
                .parts()
                .forEach(part -> part.tensors().forEach(tensor -> {
                    byte[] bytes = new byte[(int) tensor.data().byteSize()];
                    MemorySegment.ofArray(bytes).copyFrom(tensor.data());
                    bits.put(part.name() + "/" + tensor.name(), bytes);
                }));
        return bits;
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void aResumedRunHasTheSameBits(Map<String, Object> keys) {
        Path folder = temporary.resolve("run");
        RunResult whole;
        Map<String, byte[]> expected;
        try (Run run = new Run(2, keys)) {
            whole = run.trainer.run("whole", TrainerTest.SILENT);
            expected = bits(run.trainer);
        }
        try (Run run = new Run(1, keys);
                CheckpointSaver saver = saver(run, folder, keys)) {
            for (int step = 1; step <= 5; step++) {
                run.trainer.trainStep();
                if (step == 4) {
                    run.trainer.save(saver);
                }
            }
        }
        try (Run run = new Run(2, keys)) {
            resume(run.trainer, folder);
            assertEquals(4, run.trainer.steps());
            RunResult rest = run.trainer.run("rest", TrainerTest.SILENT);
            assertEquals(whole.trainLoss().subList(4, 8), rest.trainLoss());
            assertEquals(whole.valLoss(), rest.valLoss());
            Map<String, byte[]> bits = bits(run.trainer);
            assertEquals(expected.keySet(), bits.keySet());
            expected.forEach((name, bytes) -> assertArrayEquals(bytes, bits.get(name), name));
        }
    }

    @Test
    void checkpointsAreSavedAsThePresetSays() {
        Path folder = temporary.resolve("run");
        try (Run run = new Run(2, keys("steps", 7L))) {
            savesAsThePresetSays(run, folder);
            assertEquals(0, run.device.ledger().bytes(Purpose.CHECKPOINT));
        }
    }

    private static void savesAsThePresetSays(Run run, Path folder) {
        try (CheckpointSaver saver = saver(run, folder, SHORT)) {
            run.trainer.run("saved", TrainerTest.SILENT, saver);
            saver.await();
            assertEquals(
                    List.of("step-00000007", "step-00000006", "step-00000004"),
                    CheckpointFolder.list(folder).stream()
                            .map(path -> path.getFileName().toString())
                            .toList());
            assertTrue(saver.failure().isEmpty());
            assertTrue(run.device.ledger().bytes(Purpose.CHECKPOINT) > 0, "the copy is in the ledger");
        }
    }

    @Test
    void whatIsSavedInTheBackgroundIsTheStateOfItsStep() {
        Path background = temporary.resolve("background");
        Path foreground = temporary.resolve("foreground");
        try (Run run = new Run(2, SHORT);
                CheckpointSaver behind = saver(run, background, SHORT);
                CheckpointSaver before = saver(run, foreground, keys("background_checkpoints", false))) {
            run.trainer.trainStep();
            run.trainer.save(behind);
            run.trainer.save(before);
            run.trainer.trainStep();
        }
        for (String file : List.of("model.safetensors", "optimizer.safetensors", "manifest.json")) {
            assertEquals(
                    -1,
                    mismatch(
                            background.resolve("step-00000001").resolve(file),
                            foreground.resolve("step-00000001").resolve(file)));
        }
    }

    private static long mismatch(Path a, Path b) {
        try {
            return Files.mismatch(a, b);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void anotherConfigurationIsRefusedByItsKeys() {
        Path folder = temporary.resolve("run");
        try (Run run = new Run(1, SHORT);
                CheckpointSaver saver = saver(run, folder, SHORT)) {
            run.trainer.trainStep();
            run.trainer.save(saver);
        }
        try (Run run = new Run(1, keys("matrix_lr", 0.5, "d_model", 48L))) {
            Map<String, byte[]> before = bits(run.trainer);
            String message = assertThrows(IllegalArgumentException.class, () -> resume(run.trainer, folder))
                    .getMessage();
            assertTrue(message.startsWith("the checkpoint is of another configuration: "), message);
            assertTrue(message.contains("matrix_lr (0.02 there, 0.5 here)"), message);
            assertTrue(message.contains("d_model (32 there, 48 here)"), message);
            bits(run.trainer).forEach((name, bytes) -> assertArrayEquals(before.get(name), bytes));
        }
        try (Run run = new Run(1, keys("steps", 20L, "background_checkpoints", false, "eval_batches", 2L))) {
            resume(run.trainer, folder);
            assertEquals(1, run.trainer.steps());
        }
    }

    @Test
    void anotherTextIsRefused() {
        Path folder = temporary.resolve("run");
        try (Run run = new Run(1, SHORT);
                CheckpointSaver saver = saver(run, folder, SHORT)) {
            run.trainer.trainStep();
            run.trainer.save(saver);
        }
        byte[] other = TrainerTest.text();
        other[0] = 'x';
        try (Device device = Device.cpu(1);
                TextData data = new TextData(
                        device,
                        new ByteTokenizer(),
                        "another text",
                        other,
                        TrainerTest.preset(SHORT).model().context());
                Trainer trainer = new Trainer(device, TrainerTest.preset(SHORT), new ByteTokenizer(), data)) {
            Map<String, byte[]> before = bits(trainer);
            String message = assertThrows(IllegalArgumentException.class, () -> resume(trainer, folder))
                    .getMessage();
            assertTrue(message.startsWith("the checkpoint was trained on another text"), message);
            bits(trainer).forEach((name, bytes) -> assertArrayEquals(before.get(name), bytes));
        }
    }

    @Test
    void tensorsOfAnotherShapeOrFormatAreRefusedBeforeAnyIsRestored() {
        Path folder = temporary.resolve("run");
        try (Run run = new Run(1, SHORT);
                CheckpointSaver saver = saver(run, folder, SHORT)) {
            run.trainer.trainStep();
            run.trainer.save(saver);
        }
        for (Map<String, Object> other :
                List.of(keys("use_8bit_optim", false), keys("d_model", 48L), keys("layers", 3L))) {
            try (Run run = new Run(1, other);
                    Checkpoint checkpoint =
                            CheckpointFolder.newest(folder).checkpoint().orElseThrow()) {
                Map<String, byte[]> before = bits(run.trainer);
                String message = assertThrows(
                                CheckpointException.class,
                                () -> run.trainer.state().restore(checkpoint))
                        .getMessage();
                assertTrue(message.contains(folder.toString()), message);
                bits(run.trainer).forEach((name, bytes) -> assertArrayEquals(before.get(name), bytes));
            }
        }
    }
}
