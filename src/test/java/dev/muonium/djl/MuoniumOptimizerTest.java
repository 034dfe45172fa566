package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.training.Trainer;
import ai.djl.training.tracker.Tracker;
import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Trains in DJL's own loop: the same bits as the library's optimizer, on the arrays themselves, and as after a break. */
@Tag("djl")
final class MuoniumOptimizerTest {
    private static final double CLIP = 0.5;

    private static MuoniumOptimizer.Builder builder(TinyModel model, StateFormat state) {
        return MuoniumOptimizer.builder(model.block0())
                .optMuon(Muon.defaults().state(state))
                .optAdamW(AdamW.defaults().learningRate(3e-3).state(state))
                .optClipGlobalNorm(CLIP);
    }

    @ParameterizedTest
    @EnumSource(
            value = StateFormat.class,
            names = {"FP32", "INT8"})
    void hasTheBitsOfTheLibrarysOptimizerOnTheSameGradients(StateFormat state) {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, state).build();
                Trainer trainer = model.trainer(optimizer);
                Arena arena = Arena.ofShared();
                Device device = Device.cpu(1);
                Optimizer reference = Optimizer.builder(device)
                        .group(Muon.defaults().state(state))
                        .group(AdamW.defaults().learningRate(3e-3).state(state))
                        .clipGlobalNorm(CLIP)
                        .build()) {
            model.setWeights(1);
            Map<String, Parameter> copies = copies(model, arena);
            reference.addAll(copies.values());

            for (int step = 0; step < 20; step++) {
                model.backward(trainer, step);
                model.copyGradients(copies);
                trainer.step();
                reference.step();
                model.assertWeights(copies, step);
            }
            assertEquals(20, optimizer.lastStep().orElseThrow().step());
            assertTrue(optimizer.lastStep().orElseThrow().clipFactor() < 1, "the gradients were clipped");
            assertEquals(
                    reference.stateBytes(), optimizer.optimizer().orElseThrow().stateBytes());
        }
    }

    private static Map<String, Parameter> copies(TinyModel model, Arena arena) {
        Map<String, Parameter> copies = new LinkedHashMap<>();
        model.block0().getParameters().forEach(pair -> {
            NDArray array = pair.getValue().getArray();
            MemorySegment weights = arena.allocate(array.size() * 4, 64).copyFrom(TinyModel.memory(array));
            boolean matrix = array.getShape().dimension() == 2;
            ParameterKind kind = !matrix
                    ? ParameterKind.VECTOR
                    : array.getShape().get(0) == TinyModel.CLASSES ? ParameterKind.HEAD : ParameterKind.MATRIX;
            Shape shape = Shape.of(array.getShape().getShape());
            copies.put(
                    pair.getKey(),
                    Parameter.of(
                            pair.getKey(),
                            kind,
                            shape,
                            weights,
                            dev.muonium.memory.ElementType.F32,
                            arena.allocate(array.size() * 4, 64),
                            dev.muonium.memory.ElementType.F32));
        });
        return copies;
    }

    @Test
    void learnsWhatDjlsLossMeasures() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.INT8).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            float before = model.train(trainer, 0, 1);
            float after = model.train(trainer, 1, 150);

            assertTrue(after < before / 3, before + " → " + after);
        }
    }

    @Test
    void worksOnTheArraysThemselves() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.FP32).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 3);

            List<Parameter> parameters = optimizer.optimizer().orElseThrow().parameters();
            assertEquals(model.block0().getParameters().size(), parameters.size());
            for (Parameter parameter : parameters) {
                NDArray array = model.parameter(parameter.name()).getArray();
                assertEquals(
                        TinyModel.memory(array).address(), parameter.weights().address(), parameter.name());
                try (NDArray gradient = array.getGradient()) {
                    assertEquals(
                            TinyModel.memory(gradient).address(),
                            parameter.gradient().address(),
                            parameter.name());
                }
            }
            assertEquals(0, optimizer.device().orElseThrow().ledger().bytes(Purpose.WEIGHTS));
            assertEquals(0, optimizer.device().orElseThrow().ledger().bytes(Purpose.GRADIENTS));
        }
    }

    @Test
    void zeroesTheGradientsAlsoOfAStepThatIsLeftOut() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.FP32).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 1);
            assertGradientsAreZero(model);

            Map<String, float[]> before = model.weights();
            model.backward(trainer, 1);
            try (NDArray gradient = model.parameter("03Linear_bias").getArray().getGradient()) {
                TinyModel.memory(gradient).set(ValueLayout.JAVA_FLOAT, 8, Float.NaN);
            }
            trainer.step();

            assertFalse(optimizer.lastStep().orElseThrow().taken());
            assertEquals("03Linear_bias", optimizer.lastStep().orElseThrow().nonFiniteParameter());
            assertGradientsAreZero(model);
            assertEqual(before, model.weights());
            model.train(trainer, 2, 3);
            assertTrue(optimizer.lastStep().orElseThrow().taken(), "training goes on");
        }
    }

    private static void assertGradientsAreZero(TinyModel model) {
        model.block0().getParameters().forEach(pair -> {
            try (NDArray gradient = pair.getValue().getArray().getGradient()) {
                for (float value : gradient.toFloatArray()) {
                    assertEquals(0, value, pair.getKey());
                }
            }
        });
    }

    @Test
    void aSavedRunGoesOnWithTheSameBits(@TempDir Path folder) {
        Path file = folder.resolve("optimizer.safetensors");
        Tracker tracker = Tracker.warmUp()
                .optWarmUpSteps(8)
                .optWarmUpBeginValue(0.001f)
                .setMainTracker(Tracker.fixed(0.02f))
                .build();
        Map<String, float[]> middle;
        Map<String, float[]> whole;
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.INT8)
                        .optMuonLearningRate(tracker)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            model.train(trainer, 0, 5);
            optimizer.save(file);
            middle = model.weights();
            model.train(trainer, 5, 12);
            whole = model.weights();
        }
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.INT8)
                        .optMuonLearningRate(tracker)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(middle);
            optimizer.load(file);
            model.train(trainer, 5, 12);

            assertEqual(whole, model.weights());
            assertEquals(12, optimizer.lastStep().orElseThrow().step());

            model.setWeights(middle);
            optimizer.load(file);
            model.train(trainer, 5, 12);
            assertEqual(whole, model.weights());

            model.setWeights(middle);
            model.train(trainer, 5, 12);
            assertNotEquals(
                    whole.get("01Linear_weight")[0], model.weights().get("01Linear_weight")[0], "the state matters");
        }
    }

    private static void assertEqual(Map<String, float[]> expected, Map<String, float[]> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, values) -> assertArrayEquals(values, actual.get(name), name));
    }

    @Test
    void asksTrackersForEveryStep() {
        List<Integer> asked = new ArrayList<>();
        Tracker tracker = number -> {
            asked.add(number);
            return 0.001f * number;
        };
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.FP32)
                        .optBeginNumUpdate(100)
                        .optAdamWLearningRate(tracker)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 3);

            assertEquals(List.of(101, 102, 103), asked);
            Optimizer behind = optimizer.optimizer().orElseThrow();
            assertEquals(0.001f * 103, behind.group("adamw").learningRate());
            assertEquals(0.02, behind.group("muon").learningRate());
        }
    }

    @Test
    void understandsDjlsOwnSettings() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.FP32)
                        .optWeightDecays(0.25f)
                        .setRescaleGrad(0.5f)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.backward(trainer, 0);
            double sum = 0;
            for (ai.djl.nn.Parameter parameter : model.block0().getParameters().values()) {
                try (NDArray gradient = parameter.getArray().getGradient()) {
                    for (float value : gradient.toFloatArray()) {
                        sum += (double) value * value;
                    }
                }
            }
            trainer.step();

            assertEquals(
                    0.5 * Math.sqrt(sum), optimizer.lastStep().orElseThrow().gradientNorm(), 1e-6);
            assertEquals(0.25, optimizer.optimizer().orElseThrow().group("muon").weightDecay());
            assertEquals(
                    0.25, optimizer.optimizer().orElseThrow().group("adamw").weightDecay());
        }
    }

    @Test
    void leavesFrozenParametersAloneAndTakesThemUpWhenTheyAreThawed() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = builder(model, StateFormat.FP32).build()) {
            model.model
                    .getBlock()
                    .initialize(
                            model.manager(),
                            ai.djl.ndarray.types.DataType.FLOAT32,
                            new ai.djl.ndarray.types.Shape(16, TinyModel.INPUTS));
            model.parameter("01Linear_weight").freeze(true);
            try (Trainer trainer = model.trainer(optimizer)) {
                float[] before = model.weights().get("01Linear_weight");
                model.train(trainer, 0, 3);
                assertArrayEquals(before, model.weights().get("01Linear_weight"));
                assertTrue(optimizer.describe().contains("(frozen)"), optimizer.describe());

                model.parameter("01Linear_weight").freeze(false);
                model.parameter("03Linear_weight").freeze(true);
                float[] middle = model.weights().get("03Linear_weight");
                model.train(trainer, 3, 5);
                assertNotEquals(before[0], model.weights().get("01Linear_weight")[0]);
                assertArrayEquals(middle, model.weights().get("03Linear_weight"));
                assertEquals(5, optimizer.lastStep().orElseThrow().step());
            }
        }
    }
}
