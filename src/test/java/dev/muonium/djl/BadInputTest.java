package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.Trainer;
import dev.muonium.MuoniumException;
import dev.muonium.NonFiniteGradientException;
import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.NonFinitePolicy;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.logging.log4j.Level;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What cannot be done is said in a sentence, and nothing was changed. */
@Tag("djl")
final class BadInputTest {
    private static MuoniumOptimizer optimizer(TinyModel model) {
        return MuoniumOptimizer.builder(model.block0()).build();
    }

    private static String message(Class<? extends Throwable> type, Runnable call) {
        return assertThrows(type, call::run).getMessage();
    }

    private static void assertSays(String message, String... parts) {
        for (String part : parts) {
            assertTrue(message.contains(part), "'" + part + "' in: " + message);
        }
    }

    /** A block of one Linear without bias that is initialized, and its only parameter. */
    private static Parameter single(TinyModel model, DataType type) {
        model.block0().initialize(model.manager(), type, new Shape(2, 4));
        return model.block0().getParameters().get("01Linear_weight");
    }

    private static SequentialBlock oneLinear() {
        return new SequentialBlock()
                .add(Linear.builder().setUnits(3).optBias(false).build());
    }

    @Test
    void aParameterThatNeverArrivesIsNamedWhenTheNextStepBegins() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer)) {
            model.backward(trainer, 0);
            Map<String, float[]> before = model.weights();
            handOver(optimizer, model, "01Linear_weight");
            handOver(optimizer, model, "05Linear_bias");
            assertSays(
                    message(IllegalStateException.class, () -> optimizer.save(Path.of("target/never"))),
                    "unfinished",
                    "03Linear_weight");
            assertSays(
                    message(IllegalStateException.class, () -> handOver(optimizer, model, "01Linear_weight")),
                    "'01Linear_weight' arrived again",
                    "03Linear_weight",
                    "03Linear_bias",
                    "freeze");
            before.forEach(
                    (name, values) -> assertArrayEquals(values, model.weights().get(name)));

            trainer.step(); // the step that was begun is dropped, the gradients are still there
            assertEquals(1, optimizer.lastStep().orElseThrow().step());
        }
    }

    private static void handOver(MuoniumOptimizer optimizer, TinyModel model, String name) {
        Parameter parameter = model.parameter(name);
        try (NDArray gradient = parameter.getArray().getGradient()) {
            optimizer.update(parameter.getId(), parameter.getArray(), gradient);
        }
    }

    @Test
    void refusesAFrozenParameter() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            parameter.freeze(true);
            NDArray gradient = model.manager().ones(parameter.getShape());
            assertSays(
                    message(
                            IllegalStateException.class,
                            () -> optimizer.update(parameter.getId(), parameter.getArray(), gradient)),
                    "'01Linear_weight' is frozen",
                    "freeze(false)");
        }
    }

    @Test
    void refusesAParameterThatBackwardMadeNoGradientFor() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer)) {
            model.backward(trainer, 0);
            Map<String, float[]> before = model.weights();
            Parameter used = model.parameter("01Linear_weight");
            // what happens to a parameter that is not part of the graph
            NDArray fresh = model.manager().ones(used.getShape());
            fresh.setRequiresGradient(true);
            assertSays(
                    message(IllegalStateException.class, () -> {
                        try (NDArray gradient = fresh.getGradient()) {
                            optimizer.update(used.getId(), fresh, gradient);
                        }
                    }),
                    "'01Linear_weight' has no gradient",
                    "freeze(true)");
            before.forEach(
                    (name, values) -> assertArrayEquals(values, model.weights().get(name)));
        }
    }

    @Test
    void refusesASparseGradient() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray sparse = model.manager()
                    .createCoo(FloatBuffer.wrap(new float[] {1}), new long[][] {{0}, {1}}, new Shape(3, 4));
            assertSays(
                    message(
                            IllegalArgumentException.class,
                            () -> optimizer.update(parameter.getId(), parameter.getArray(), sparse)),
                    "gradient of parameter '01Linear_weight' is sparse (COO)",
                    "SparseFormat.DENSE");
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"FLOAT16", "FLOAT64", "INT8", "INT32", "INT64"})
    void refusesOtherTypesThanFp32(DataType type) {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray weights = model.manager().ones(parameter.getShape()).toType(type, true);
            NDArray gradient = model.manager().ones(parameter.getShape());
            assertSays(
                    message(
                            IllegalArgumentException.class,
                            () -> optimizer.update(parameter.getId(), weights, gradient)),
                    "array of parameter '01Linear_weight' has the type " + type,
                    "FLOAT32");
            assertSays(
                    message(
                            IllegalArgumentException.class,
                            () -> optimizer.update(parameter.getId(), gradient, weights)),
                    "gradient of parameter '01Linear_weight' has the type " + type);
        }
    }

    @Test
    void refusesAnArrayThatItsManagerClosed() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDManager scope = model.manager().newSubManager();
            NDArray weights = scope.ones(parameter.getShape());
            NDArray gradient = scope.ones(parameter.getShape());
            scope.close();
            NDArray alive = model.manager().ones(parameter.getShape());
            assertSays(
                    message(IllegalStateException.class, () -> optimizer.update(parameter.getId(), weights, alive)),
                    "array of parameter '01Linear_weight' was closed",
                    "manager");
            assertSays(
                    message(IllegalStateException.class, () -> optimizer.update(parameter.getId(), alive, gradient)),
                    "gradient of parameter '01Linear_weight' was closed");
        }
    }

    @Test
    void refusesAnArrayThatWasClosedBeforeTheLastOneOfItsStepArrived() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer)) {
            model.backward(trainer, 0);
            NDArray closed = model.parameter("01Linear_weight").getArray().duplicate();
            NDArray ones = closed.onesLike();
            optimizer.update(model.parameter("01Linear_weight").getId(), closed, ones);
            closed.close();
            for (String name : model.weights().keySet().stream()
                    .filter(name -> !name.equals("01Linear_weight") && !name.equals("05Linear_bias"))
                    .toList()) {
                handOver(optimizer, model, name);
            }
            assertSays(
                    message(IllegalStateException.class, () -> handOver(optimizer, model, "05Linear_bias")),
                    "array of parameter '01Linear_weight' was closed");
        }
    }

    @Test
    void refusesTheTrainerOfAnotherBlock() {
        try (TinyModel model = new TinyModel();
                TinyModel other = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer);
                Trainer second = other.trainer(optimizer)) {
            model.train(trainer, 0, 1);
            other.backward(second, 0);
            assertSays(
                    message(IllegalArgumentException.class, second::step),
                    "not one of the block",
                    "needs an optimizer of its own");
            model.train(trainer, 1, 2);
            assertEquals(2, optimizer.lastStep().orElseThrow().step());
        }
    }

    @Test
    void refusesWeightsThatAreAnotherArrayThanBefore() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray gradient = model.manager().ones(parameter.getShape());
            optimizer.update(parameter.getId(), parameter.getArray(), gradient);
            NDArray another = parameter.getArray().duplicate();
            assertSays(
                    message(IllegalStateException.class, () -> optimizer.update(parameter.getId(), another, gradient)),
                    "'01Linear_weight' are another array",
                    "optimizer of its own");
        }
    }

    @Test
    void refusesASecondTrainerAtTheSameTime() throws InterruptedException {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(1);
        AtomicReference<String> said = new AtomicReference<>("nothing");
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                        .optMuonLearningRate(number -> {
                            inside.countDown();
                            await(done);
                            return 0.01f;
                        })
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.backward(trainer, 0);
            Thread second = Thread.ofPlatform().start(() -> {
                await(inside);
                try {
                    handOver(optimizer, model, "01Linear_weight");
                } catch (IllegalStateException e) {
                    said.set(e.getMessage());
                } finally {
                    done.countDown();
                }
            });
            trainer.step();
            second.join();
        }
        assertSays(said.get(), "in use by another thread", "second trainer needs an optimizer of its own");
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void refusesGradientsOfAnotherShape() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray gradient = model.manager().ones(new Shape(4, 3));
            assertSays(
                    message(
                            IllegalArgumentException.class,
                            () -> optimizer.update(parameter.getId(), parameter.getArray(), gradient)),
                    "gradient of parameter '01Linear_weight' is 4×3",
                    "3×4");
        }
    }

    @Test
    void refusesAnExpandedArray() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = optimizer(model)) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray expanded = model.manager().ones(new Shape(1, 4)).broadcast(3, 4);
            NDArray gradient = model.manager().ones(new Shape(3, 4));
            assertSays(
                    message(
                            IllegalArgumentException.class,
                            () -> optimizer.update(parameter.getId(), expanded, gradient)),
                    "expanded array");
        }
    }

    @Test
    void throwsForAGradientThatIsNotFiniteIfAskedTo() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                        .optNonFinite(NonFinitePolicy.THROW)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 1);
            Map<String, float[]> before = model.weights();
            model.backward(trainer, 1);
            try (NDArray gradient =
                    model.parameter("01Linear_weight").getArray().getGradient()) {
                TinyModel.memory(gradient).set(ValueLayout.JAVA_FLOAT, 0, Float.POSITIVE_INFINITY);
            }
            assertSays(message(NonFiniteGradientException.class, trainer::step), "'01Linear_weight'");
            before.forEach(
                    (name, values) -> assertArrayEquals(values, model.weights().get(name)));
            model.train(trainer, 2, 3);
            assertEquals(2, optimizer.lastStep().orElseThrow().step());
        }
    }

    @Test
    void refusesSettingsThatItDoesNotKnow() {
        Block block = TinyModel.block();
        assertSays(
                message(
                        IllegalArgumentException.class,
                        () -> MuoniumOptimizer.builder(block).optClipGrad(1).build()),
                "optClipGlobalNorm");
        assertSays(
                message(
                        IllegalArgumentException.class,
                        () -> MuoniumOptimizer.builder(block).optHead("head").build()),
                "no parameter 'head'",
                "05Linear_weight");
        assertSays(
                message(
                        IllegalArgumentException.class,
                        () -> MuoniumOptimizer.builder(block)
                                .optClipGlobalNorm(0)
                                .build()),
                "must be positive");
        assertSays(
                message(
                        IllegalArgumentException.class,
                        () -> MuoniumOptimizer.builder(block)
                                .optMuon(Muon.defaults().name("all"))
                                .optAdamW(AdamW.defaults().name("all"))
                                .build()),
                "'all'");
    }

    @Test
    @SuppressWarnings("try") // closing twice is what is tested
    void refusesUseAfterClose() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer)) {
            model.train(trainer, 0, 1);
            model.backward(trainer, 1);
            handOver(optimizer, model, "01Linear_weight");
            try (Log log = Log.of(MuoniumOptimizer.class)) {
                optimizer.close();
                optimizer.close();
                assertSays(log.messages(Level.WARN).toString(), "in the middle of a step", "03Linear_weight");
            }
            assertSays(message(IllegalStateException.class, trainer::step), "closed");
            assertSays(message(IllegalStateException.class, optimizer::describe), "closed");
        }
    }

    @Test
    void closesWhatItOpenedAndNotWhatItWasGiven() {
        try (TinyModel model = new TinyModel();
                Device device = Device.cpu(1)) {
            try (MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                            .optDevice(device)
                            .build();
                    Trainer trainer = model.trainer(optimizer)) {
                model.train(trainer, 0, 2);
                assertTrue(device.ledger().total() > 0);
            }
            long idle = device.ledger().total();
            try (var tensor = device.allocate(
                    dev.muonium.memory.Purpose.WEIGHTS,
                    "after",
                    dev.muonium.memory.ElementType.F32,
                    dev.muonium.memory.Shape.of(8))) {
                assertEquals(32, tensor.byteSize());
            }
            assertEquals(idle, device.ledger().total());
        }
    }

    @Test
    void refusesStateOfAnotherBlockOrFormat(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("optimizer.safetensors");
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model);
                Trainer trainer = model.trainer(optimizer)) {
            assertSays(message(IllegalStateException.class, () -> optimizer.save(file)), "no step was taken");
            model.train(trainer, 0, 1);
            optimizer.save(file);
        }
        try (TinyModel model = new TinyModel(
                        oneLinear().add(Linear.builder().setUnits(2).build()));
                MuoniumOptimizer optimizer = optimizer(model)) {
            assertSays(message(MuoniumException.class, () -> optimizer.load(file)), "no state of parameter '02Linear_");
        }
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                        .optMuon(Muon.defaults().state(dev.muonium.optim.StateFormat.INT8))
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            optimizer.load(file);
            model.backward(trainer, 0);
            Map<String, float[]> before = model.weights();
            assertSays(message(MuoniumException.class, trainer::step), "momentum_buffer", "int8_linear");
            before.forEach(
                    (name, values) -> assertArrayEquals(values, model.weights().get(name)));
        }
        Files.writeString(file, "no such file");
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer = optimizer(model)) {
            assertThrows(MuoniumException.class, () -> optimizer.load(file));
        }
    }

    /** The same call with NDList keeps the engine's own path honest: a gradient of the caller's is used as it is. */
    @Test
    void usesTheGradientThatItIsGiven() {
        try (TinyModel model = new TinyModel(oneLinear());
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(model.block0())
                        .optAdamW(AdamW.defaults().learningRate(0.5).weightDecay(0))
                        .build()) {
            Parameter parameter = single(model, DataType.FLOAT32);
            NDArray weights = parameter.getArray();
            float[] before = weights.toFloatArray();
            try (NDArray gradient = new NDList(model.manager().ones(parameter.getShape())).singletonOrThrow()) {
                optimizer.update(parameter.getId(), weights, gradient);
            }
            float[] after = weights.toFloatArray();
            for (int i = 0; i < after.length; i++) {
                assertEquals(before[i] - 0.5f, after[i], 1e-5f, "AdamW's first step is lr times the gradient's sign");
            }
        }
    }
}
