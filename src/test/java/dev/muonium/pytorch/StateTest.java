package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.checkpoint.CheckpointException;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.CheckpointSaver;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.SafetensorsException;
import dev.muonium.checkpoint.TrainingState;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Schedule;
import dev.muonium.optim.StateFormat;
import java.nio.file.Path;
import java.util.Map;
import org.bytedeco.pytorch.Module;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The state dictionary: a run goes on with the same bits. */
@PyTorchTest
final class StateTest {
    @ParameterizedTest
    @CsvSource({"FP32, false", "INT8, false", "INT8, true"})
    void aRunGoesOnWithTheSameBits(StateFormat state, boolean bfloat16, @TempDir Path folder) {
        Path file = folder.resolve("optimizer.safetensors");
        ByteModel model = model(bfloat16);
        ByteModel resumed = model(bfloat16);
        try (ModuleOptimizer optimizer = optimizer(model, state)) {
            train(model, optimizer, 0, 8);
            optimizer.group("muon").learningRate(0.011).momentum(0.9);
            optimizer.group("adamw").weightDecay(0.125);
            optimizer.save(file);
            Torch.copyWeights(model, resumed);
            train(model, optimizer, 8, 20);
        }
        try (ModuleOptimizer optimizer = optimizer(resumed, state)) {
            optimizer.load(file);

            assertEquals(8, optimizer.steps());
            assertEquals(0.011, optimizer.group("muon").learningRate());
            assertEquals(0.9, optimizer.group("muon").momentum());
            assertEquals(0.125, optimizer.group("adamw").weightDecay());
            train(resumed, optimizer, 8, 20);
        }
        assertSameWeights(model, resumed);
    }

    @Test
    void theStateBelongsIntoACheckpointAsWell(@TempDir Path folder) {
        ByteModel model = model(false);
        ByteModel resumed = model(false);
        try (ModuleOptimizer optimizer = optimizer(model, StateFormat.INT8)) {
            train(model, optimizer, 0, 5);
            try (CheckpointSaver saver =
                    new CheckpointSaver(optimizer.device(), CheckpointFolder.open(folder, 2), false)) {
                saver.save(
                        optimizer.steps(),
                        Map.of(),
                        new TrainingState(optimizer.device()).source(optimizer.stateSource()));
            }
            Torch.copyWeights(model, resumed);
            train(model, optimizer, 5, 12);
        }
        try (ModuleOptimizer optimizer = optimizer(resumed, StateFormat.INT8);
                var checkpoint = CheckpointFolder.newest(folder).checkpoint().orElseThrow()) {
            new TrainingState(optimizer.device())
                    .source(optimizer.stateSource())
                    .restore(checkpoint);
            train(resumed, optimizer, 5, 12);
        }
        assertSameWeights(model, resumed);
    }

    @Test
    void namesAreThoseOfTheModule(@TempDir Path folder) {
        Path file = folder.resolve("optimizer.safetensors");
        ByteModel model = model(false);
        try (ModuleOptimizer optimizer = optimizer(model, StateFormat.INT8)) {
            train(model, optimizer, 0, 1);
            optimizer.save(file);
        }
        try (Safetensors saved = Safetensors.open(file)) {
            assertTrue(saved.names().contains("up.weight.momentum_buffer"), saved.names()::toString);
            assertTrue(saved.names().contains("embedding.weight.exp_avg_sq.scales"), saved.names()::toString);
            assertEquals("int8_linear, block 128", saved.metadata().get("format of up.weight.momentum_buffer"));
        }
    }

    @Test
    void whatDoesNotFitIsRefusedAndNothingChanged(@TempDir Path folder) {
        Path file = folder.resolve("optimizer.safetensors");
        ByteModel model = model(false);
        try (ModuleOptimizer optimizer = optimizer(model, StateFormat.INT8)) {
            train(model, optimizer, 0, 2);
            optimizer.save(file);
        }
        ByteModel partly = model(false);
        Torch.parameter(partly, "up.bias").requires_grad_(false);
        try (ModuleOptimizer optimizer = optimizer(partly, StateFormat.INT8)) {
            String message = assertThrows(IllegalArgumentException.class, () -> optimizer.load(file))
                    .getMessage();

            assertEquals(
                    "'" + file
                            + "' has state of the parameters [up.bias], which are not trained here; load it into the"
                            + " module that it was saved from, with the same parameters frozen",
                    message);
            assertEquals(0, optimizer.steps());
        }
        try (ModuleOptimizer optimizer = optimizer(model(false), StateFormat.FP32)) {
            assertThrows(CheckpointException.class, () -> optimizer.load(file));
            assertEquals(0, optimizer.steps());
        }
        try (ModuleOptimizer optimizer = ModuleOptimizer.builder(model(false))
                .head(ByteModel.HEAD)
                .group(Muon.defaults().state(StateFormat.INT8).name("hidden"))
                .group(AdamW.defaults().state(StateFormat.INT8))
                .build()) {
            String message = assertThrows(IllegalArgumentException.class, () -> optimizer.load(file))
                    .getMessage();

            assertTrue(message.contains("has nothing for the learning rate of group hidden"), message);
            assertEquals(0, optimizer.steps());
            assertThrows(SafetensorsException.class, () -> optimizer.load(folder.resolve("missing")));
        }
    }

    private static ByteModel model(boolean bfloat16) {
        return bfloat16 ? new ByteModel().inBfloat16() : new ByteModel();
    }

    private static ModuleOptimizer optimizer(ByteModel model, StateFormat state) {
        return ModuleOptimizer.builder(model)
                .head(ByteModel.HEAD)
                .group(Muon.defaults().state(state))
                .group(AdamW.defaults().state(state))
                .schedule(Schedule.linear(3, 10, 20, 0))
                .settings(builder -> builder.seed(5))
                .build();
    }

    private static void train(ByteModel model, ModuleOptimizer optimizer, int first, int end) {
        for (int step = first; step < end; step++) {
            optimizer.zeroGrad();
            model.backward(step);
            optimizer.step();
        }
    }

    private static void assertSameWeights(Module expected, Module actual) {
        Map<String, byte[]> weights = Torch.weights(expected);
        Torch.weights(actual).forEach((name, bytes) -> assertArrayEquals(weights.get(name), bytes, name));
    }
}
