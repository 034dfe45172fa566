package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.LambdaBlock;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.core.Linear;
import ai.djl.training.ParameterStore;
import ai.djl.training.Trainer;
import ai.djl.util.PairList;
import dev.muonium.checkpoint.ForeignState;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
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
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Kernels of convolutions, stacks of experts and fused matrices under Muon, each of whose matrices is orthogonalized by itself. */
@Tag("djl")
final class MatricesTest {
    private static final String CONVOLUTION = "02Conv2d_weight";
    private static final String GROUPED = "04Conv2d_weight";
    private static final String FUSED = "07Linear_weight";
    private static final String EXPERTS = "09Experts_weight";
    private static final String HEAD = "10Linear_weight";

    /** A convolution, one of two groups, a fused matrix of three parts, a stack of experts, a head. */
    private static SequentialBlock block() {
        return new SequentialBlock()
                .add(new LambdaBlock(in -> new NDList(in.singletonOrThrow().reshape(-1, 1, 4, 6))))
                .add(Conv2d.builder()
                        .setKernelShape(new ai.djl.ndarray.types.Shape(3, 3))
                        .setFilters(6)
                        .build())
                .add(Activation.reluBlock())
                .add(Conv2d.builder()
                        .setKernelShape(new ai.djl.ndarray.types.Shape(2, 2))
                        .setFilters(8)
                        .optGroups(2)
                        .build())
                .add(Activation.reluBlock())
                .add(new LambdaBlock(in -> new NDList(in.singletonOrThrow().flatten(1, -1))))
                .add(Linear.builder().setUnits(16).build())
                .add(new LambdaBlock(in -> {
                    NDArray parts = in.singletonOrThrow();
                    NDArray gate = Activation.sigmoid(parts.get(":, 8:"));
                    return new NDList(parts.get(":, :8").mul(gate));
                }))
                .add(new Experts())
                .add(Linear.builder().setUnits(TinyModel.CLASSES).build());
    }

    private static Parameter heads(Parameter fused) {
        return fused.splitRows(8, 4, 4).splitEvery(4);
    }

    /** Three matrices side by side, whose outputs are added. */
    private static final class Experts extends AbstractBlock {
        private final ai.djl.nn.Parameter weight;

        Experts() {
            weight = addParameter(ai.djl.nn.Parameter.builder()
                    .setName("weight")
                    .setType(ai.djl.nn.Parameter.Type.WEIGHT)
                    .build());
        }

        @Override
        protected void prepare(ai.djl.ndarray.types.Shape[] inputs) {
            weight.setShape(new ai.djl.ndarray.types.Shape(3, inputs[0].get(1), 12));
        }

        @Override
        protected NDList forwardInternal(
                ParameterStore store, NDList inputs, boolean training, PairList<String, Object> params) {
            NDArray input = inputs.singletonOrThrow();
            NDArray experts = store.getValue(weight, input.getDevice(), training);
            return new NDList(
                    Activation.relu(input.expandDims(0).matMul(experts)).sum(new int[] {0}));
        }

        @Override
        public ai.djl.ndarray.types.Shape[] getOutputShapes(ai.djl.ndarray.types.Shape[] inputs) {
            return new ai.djl.ndarray.types.Shape[] {new ai.djl.ndarray.types.Shape(inputs[0].get(0), 12)};
        }
    }

    private static MuoniumOptimizer.Builder undeclared(TinyModel model, StateFormat state) {
        return MuoniumOptimizer.builder(model.block0())
                .optMuon(Muon.defaults().state(state))
                .optAdamW(AdamW.defaults().learningRate(3e-3).state(state));
    }

    private static MuoniumOptimizer.Builder whole(TinyModel model, StateFormat state) {
        return undeclared(model, state).optConvolution(CONVOLUTION, GROUPED).optStack(EXPERTS);
    }

    private static MuoniumOptimizer.Builder split(TinyModel model, StateFormat state) {
        return whole(model, state)
                .optSplit(GROUPED, kernel -> kernel.splitEvery(4))
                .optSplit(FUSED, MatricesTest::heads);
    }

    @ParameterizedTest
    @EnumSource(
            value = StateFormat.class,
            names = {"FP32", "INT8"})
    void takesTheStepsOfTheOptimizerThatGetsTheSameMatrices(StateFormat state) {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer =
                        split(model, state).optClipGlobalNorm(0.5).build();
                Trainer trainer = model.trainer(optimizer);
                Arena arena = Arena.ofShared();
                Device device = Device.cpu(1);
                Optimizer reference = Optimizer.builder(device)
                        .group(Muon.defaults().state(state))
                        .group(AdamW.defaults().learningRate(3e-3).state(state))
                        .clipGlobalNorm(0.5)
                        .build()) {
            model.setWeights(1);
            Map<String, Parameter> copies = copies(model, arena);
            reference.addAll(copies.values());

            for (int step = 0; step < 15; step++) {
                model.backward(trainer, step);
                model.copyGradients(copies);
                trainer.step();
                assertEquals(reference.step(), optimizer.lastStep().orElseThrow());
                model.assertWeights(copies, step);
            }
            assertEquals(
                    reference.stateBytes(), optimizer.optimizer().orElseThrow().stateBytes());
        }
    }

    private static Map<String, Parameter> copies(TinyModel model, Arena arena) {
        Map<String, Parameter> copies = new LinkedHashMap<>();
        model.block0().getParameters().forEach(pair -> {
            NDArray array = pair.getValue().getArray();
            ParameterKind kind = switch (pair.getKey()) {
                case CONVOLUTION, GROUPED -> ParameterKind.CONVOLUTION;
                case EXPERTS -> ParameterKind.STACK;
                case FUSED -> ParameterKind.MATRIX;
                case HEAD -> ParameterKind.HEAD;
                default -> ParameterKind.VECTOR;
            };
            Parameter copy = Parameter.of(
                    pair.getKey(),
                    kind,
                    Shape.of(array.getShape().getShape()),
                    arena.allocate(array.size() * 4, 64).copyFrom(TinyModel.memory(array)),
                    ElementType.F32,
                    arena.allocate(array.size() * 4, 64),
                    ElementType.F32);
            boolean isSplit = pair.getKey().equals(GROUPED) || pair.getKey().equals(FUSED);
            copies.put(pair.getKey(), isSplit ? copy.splitEvery(4) : copy);
        });
        return copies;
    }

    @Test
    void eachDeclarationChangesItsOwnParameterOnly() {
        Map<String, float[]> undeclared = afterOneStep(model -> undeclared(model, StateFormat.FP32));
        Map<String, float[]> whole = afterOneStep(model -> whole(model, StateFormat.FP32));
        Map<String, float[]> split = afterOneStep(model -> split(model, StateFormat.FP32));

        assertEquals(List.of(CONVOLUTION, GROUPED, EXPERTS), differences(undeclared, whole));
        assertEquals(List.of(GROUPED, FUSED), differences(whole, split));
    }

    private static Map<String, float[]> afterOneStep(Function<TinyModel, MuoniumOptimizer.Builder> builder) {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = builder.apply(model).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            model.train(trainer, 0, 1);
            return model.weights();
        }
    }

    private static List<String> differences(Map<String, float[]> one, Map<String, float[]> other) {
        return one.keySet().stream()
                .filter(name -> !Arrays.equals(one.get(name), other.get(name)))
                .sorted()
                .toList();
    }

    @Test
    void learns() {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.INT8).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            float before = model.train(trainer, 0, 1);
            float after = model.train(trainer, 1, 200);

            assertTrue(after < before / 3, before + " → " + after);
        }
    }

    @Test
    void theTablesShowTheMatrices() {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.INT8).build()) {
            assertTrue(
                    optimizer.describe().matches("(?s).*\\b" + EXPERTS + " +\\? +STACK +declared a stack\n.*"),
                    optimizer.describe());
            try (Trainer trainer = model.trainer(optimizer)) {
                model.train(trainer, 0, 1);
                String table = optimizer.describe();

                assertTrue(
                        table.matches("(?s).*\\b" + CONVOLUTION + " +6×1×3×3 +CONVOLUTION +declared a convolution\n.*"),
                        table);
                assertTrue(
                        table.matches(
                                "(?s).*\\b" + GROUPED + " +8×3×2×2 +CONVOLUTION +declared a convolution, split\n.*"),
                        table);
                assertTrue(
                        table.matches("(?s).*\\b" + FUSED + " +16×24 +MATRIX +weight with 2 axes, split\n.*"), table);
                assertTrue(table.matches("(?s).*\\b" + CONVOLUTION + " +6×1×3×3 as 6×9 +muon .*"), table);
                assertTrue(table.matches("(?s).*\\b" + GROUPED + " +8×3×2×2 as 2 of 4×12 +muon .*"), table);
                assertTrue(table.matches("(?s).*\\b" + FUSED + " +16×24 as 4 of 4×24 +muon .*"), table);
                assertTrue(table.matches("(?s).*\\b" + EXPERTS + " +3×8×12 as 3 of 8×12 +muon .*"), table);
            }
        }
    }

    @Test
    void stateIsThatOfTheWholeParameter(@TempDir Path folder) {
        Path ofPieces = folder.resolve("pieces.safetensors");
        Path ofWhole = folder.resolve("whole.safetensors");
        Map<String, float[]> weights;
        Map<String, float[]> expected;
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = whole(model, StateFormat.INT8).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            model.train(trainer, 0, 1);
            optimizer.save(ofWhole);
        }
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.INT8).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            model.train(trainer, 0, 1);
            optimizer.save(ofPieces);
            weights = model.weights();
            model.train(trainer, 1, 6);
            expected = model.weights();
        }
        assertSameTensors(ofWhole, ofPieces);
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.INT8).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(weights);
            optimizer.load(ofWhole);
            model.train(trainer, 1, 6);
            assertEquals(List.of(), differences(expected, model.weights()));
        }
    }

    private static void assertSameTensors(Path expected, Path actual) {
        try (Safetensors one = Safetensors.open(expected);
                Safetensors other = Safetensors.open(actual)) {
            assertEquals(one.names(), other.names());
            assertTrue(one.names().contains(GROUPED + ".momentum_buffer"), one.names()::toString);
            one.names()
                    .forEach(name -> assertArrayEquals(
                            one.tensor(name).data().toArray(ValueLayout.JAVA_BYTE),
                            other.tensor(name).data().toArray(ValueLayout.JAVA_BYTE),
                            name));
        }
    }

    @Test
    void stateGoesToPyTorchAndBack(@TempDir Path folder) {
        Path file = folder.resolve("torch.safetensors");
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.FP32).build();
                Trainer trainer = model.trainer(optimizer)) {
            model.setWeights(1);
            model.train(trainer, 0, 4);
            foreign(optimizer).saveTorch(file);
            Map<String, float[]> weights = model.weights();
            model.train(trainer, 4, 8);
            Map<String, float[]> expected = model.weights();

            try (Safetensors content = Safetensors.open(file)) {
                assertEquals(
                        List.of(8L, 3L, 2L, 2L),
                        content.tensor(GROUPED + ".momentum_buffer").shape());
                assertEquals(
                        List.of(3L, 8L, 12L),
                        content.tensor(EXPERTS + ".momentum_buffer").shape());
                assertEquals(
                        List.of(16L, 24L),
                        content.tensor(FUSED + ".momentum_buffer").shape());
            }
            model.setWeights(weights);
            foreign(optimizer).load(file);
            model.train(trainer, 4, 8);
            assertEquals(List.of(), differences(expected, model.weights()));
        }
    }

    private static ForeignState foreign(MuoniumOptimizer optimizer) {
        return new ForeignState(
                optimizer.device().orElseThrow(), optimizer.optimizer().orElseThrow());
    }

    @Test
    void aFrozenParameterIsSplitWhenItIsTrained() {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = split(model, StateFormat.FP32).build()) {
            initialize(model);
            model.parameter(FUSED).freeze(true);
            model.parameter(CONVOLUTION).freeze(true);
            try (Trainer trainer = model.trainer(optimizer)) {
                model.train(trainer, 0, 2);
                assertTrue(optimizer.describe().contains("weight with 2 axes, split (frozen)\n"), optimizer.describe());
                assertTrue(parameters(optimizer).keySet().stream()
                        .noneMatch(name -> name.equals(FUSED) || name.equals(CONVOLUTION)));

                model.parameter(FUSED).freeze(false);
                model.parameter(CONVOLUTION).freeze(false);
                model.train(trainer, 2, 4);
                assertEquals(
                        Collections.nCopies(4, Shape.of(4, 24)),
                        parameters(optimizer).get(FUSED).matrices());
                assertEquals(
                        List.of(Shape.of(6, 9)),
                        parameters(optimizer).get(CONVOLUTION).matrices());
                assertEquals(2, optimizer.optimizer().orElseThrow().state(FUSED).step());
            }
        }
    }

    private static void initialize(TinyModel model) {
        model.block0()
                .initialize(
                        model.manager(),
                        DataType.FLOAT32,
                        new ai.djl.ndarray.types.Shape(TinyModel.BATCH, TinyModel.INPUTS));
    }

    private static Map<String, Parameter> parameters(MuoniumOptimizer optimizer) {
        Map<String, Parameter> parameters = new LinkedHashMap<>();
        optimizer
                .optimizer()
                .orElseThrow()
                .parameters()
                .forEach(parameter -> parameters.put(parameter.name(), parameter));
        return parameters;
    }

    @Test
    void namesThatTheBlockDoesNotHaveAreRefused() {
        String has = "; it has [02Conv2d_weight, 02Conv2d_bias, ";
        Block block = block();

        assertBegins(
                "the block has no parameter 'conv', which was said to be a convolution" + has,
                MuoniumOptimizer.builder(block).optConvolution(GROUPED, "conv"));
        assertBegins(
                "the block has no parameter 'expert', which was said to be a stack" + has,
                MuoniumOptimizer.builder(block).optStack("expert"));
        assertBegins(
                "the block has no parameter 'qkv', which was said to be split" + has,
                MuoniumOptimizer.builder(block).optSplit("qkv", MatricesTest::heads));
    }

    private static void assertBegins(String sentence, MuoniumOptimizer.Builder builder) {
        String message =
                assertThrows(IllegalArgumentException.class, builder::build).getMessage();
        assertTrue(message.startsWith(sentence), message);
    }

    @Test
    void oneThingIsSaidOfAParameter() {
        Block block = block();

        assertRefused(
                "parameter '09Experts_weight' was said to be a stack and a convolution; say one of both",
                MuoniumOptimizer.builder(block).optConvolution(EXPERTS).optStack(EXPERTS));
        assertRefused(
                "parameter '10Linear_weight' was said to be a convolution and a head; say one of both",
                MuoniumOptimizer.builder(block).optHead(HEAD).optConvolution(HEAD));
        assertRefused(
                "parameter '10Linear_weight' was said to be an embedding and a head; say one of both",
                MuoniumOptimizer.builder(block).optEmbedding(HEAD).optHead(HEAD));
        assertRefused(
                "parameter '07Linear_weight' was split twice; say it in one call, which may cut again what it has cut",
                MuoniumOptimizer.builder(block)
                        .optSplit(FUSED, MatricesTest::heads)
                        .optSplit(FUSED, MatricesTest::heads));
        MuoniumOptimizer.builder(block)
                .optHead(HEAD)
                .optNoHead()
                .optEmbedding(HEAD)
                .build()
                .close();
    }

    private static void assertRefused(String sentence, MuoniumOptimizer.Builder builder) {
        assertEquals(
                sentence,
                assertThrows(IllegalArgumentException.class, builder::build).getMessage());
    }

    @Test
    void ofATiedParameterAsWell() {
        Experts experts = new Experts();
        SequentialBlock tied = new SequentialBlock().add(experts).add(experts);

        assertRefused(
                "parameter '01Experts_weight = 02Experts_weight' was said to be a stack and an embedding; say one of"
                        + " both",
                MuoniumOptimizer.builder(tied).optStack("01Experts_weight").optEmbedding("02Experts_weight"));
        assertRefused(
                "parameter '01Experts_weight = 02Experts_weight' was split twice; say it in one call, which may cut"
                        + " again what it has cut",
                MuoniumOptimizer.builder(tied)
                        .optStack("01Experts_weight")
                        .optSplit("01Experts_weight", MatricesTest::heads)
                        .optSplit("02Experts_weight", MatricesTest::heads));
        try (MuoniumOptimizer optimizer = MuoniumOptimizer.builder(tied)
                .optStack("02Experts_weight")
                .optSplit("02Experts_weight", MatricesTest::heads)
                .build()) {
            assertTrue(
                    optimizer
                            .describe()
                            .matches("(?s).*\\b01Experts_weight +\\? +STACK +declared a stack as 02Experts_weight,"
                                    + " split\n.*"),
                    optimizer.describe());
        }
        try (MuoniumOptimizer optimizer = MuoniumOptimizer.builder(tied)
                .optEmbedding("01Experts_weight")
                .optHead("02Experts_weight")
                .build()) {
            assertTrue(optimizer.describe().contains("HEAD"), optimizer.describe());
        }
    }

    @Test
    void shapesAreThoseOfTheirKinds() {
        String convolution = "' has the shape 16×24, and was said to be a convolution, whose kernel has 3 to 5 axes, as"
                + " out × in × height × width";
        String stack = ", and was said to be a stack, which has 3 axes or more, as experts × rows × cols";
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer late = MuoniumOptimizer.builder(model.block0())
                        .optConvolution(FUSED)
                        .build();
                Trainer trainer = model.trainer(late)) {
            assertRefused(
                    "parameter '" + FUSED + convolution,
                    MuoniumOptimizer.builder(model.block0()).optConvolution(FUSED));
            assertRefused(
                    "parameter '" + FUSED + "' has the shape 16×24" + stack,
                    MuoniumOptimizer.builder(model.block0()).optStack(FUSED));
            assertRefused(
                    "parameter '07Linear_bias' has the shape 16" + stack,
                    MuoniumOptimizer.builder(model.block0()).optStack("07Linear_bias"));
            assertRefusedInTheFirstStep("parameter '" + FUSED + convolution, model, trainer);
        }
    }

    @ParameterizedTest
    @CsvSource({"4 3 2, true", "4 3 2 2 5, true", "4 3 2 2 5 1, false"})
    void kernelsHaveUpToFiveAxes(String extents, boolean fits) {
        Block block = new OfShape(
                Arrays.stream(extents.split(" ")).mapToLong(Long::parseLong).toArray());
        MuoniumOptimizer.Builder builder = MuoniumOptimizer.builder(block).optConvolution("weight");
        if (fits) {
            try (MuoniumOptimizer optimizer = builder.build()) {
                assertTrue(optimizer.describe().contains("CONVOLUTION"), optimizer.describe());
            }
        } else {
            assertRefused(
                    "parameter 'weight' has the shape 4×3×2×2×5×1, and was said to be a convolution, whose kernel has 3"
                            + " to 5 axes, as out × in × height × width",
                    builder);
        }
    }

    /** One parameter whose shape is known from the start. */
    private static final class OfShape extends AbstractBlock {
        OfShape(long... shape) {
            addParameter(ai.djl.nn.Parameter.builder()
                    .setName("weight")
                    .setType(ai.djl.nn.Parameter.Type.WEIGHT)
                    .optShape(new ai.djl.ndarray.types.Shape(shape))
                    .build());
        }

        @Override
        protected NDList forwardInternal(
                ParameterStore store, NDList inputs, boolean training, PairList<String, Object> params) {
            return inputs;
        }

        @Override
        public ai.djl.ndarray.types.Shape[] getOutputShapes(ai.djl.ndarray.types.Shape[] inputs) {
            return inputs;
        }
    }

    private static void assertRefusedInTheFirstStep(String sentence, TinyModel model, Trainer trainer) {
        Map<String, float[]> before = model.weights();
        model.backward(trainer, 0);
        assertEquals(
                sentence,
                assertThrows(IllegalArgumentException.class, trainer::step).getMessage());
        assertEquals(List.of(), differences(before, model.weights()));
    }

    @Test
    void onlyWhatGoesToMuonIsSplit() {
        String last =
                "parameter '" + HEAD + "' is a HEAD (the last matrix, taken for the head; optHead or optNoHead say"
                        + " otherwise), for AdamW, and only what goes to Muon can be split";
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer late = MuoniumOptimizer.builder(model.block0())
                        .optSplit(HEAD, head -> head.splitEvery(5))
                        .build();
                Trainer trainer = model.trainer(late)) {
            assertRefused(last, MuoniumOptimizer.builder(model.block0()).optSplit(HEAD, head -> head.splitEvery(5)));
            assertRefused(
                    "parameter '" + EXPERTS + "' is a VECTOR (weight with 3 axes, which is no matrix; optConvolution or"
                            + " optStack say otherwise), for AdamW, and only what goes to Muon can be split",
                    MuoniumOptimizer.builder(model.block0()).optSplit(EXPERTS, MatricesTest::heads));
            assertRefusedInTheFirstStep(last, model, trainer);
        }
    }

    @Test
    void piecesMustBeAllOfTheRows() {
        assertRefusedSplit(
                "parameter '" + FUSED + "' is to be split into [8, 4] rows; together they must be the 16 of its matrix"
                        + " of 16×24",
                fused -> fused.splitRows(8, 4));
        assertRefusedSplit(
                "parameter '" + FUSED + "' is to be split every 3 rows; its matrix of 16×24 must be a whole number of"
                        + " them",
                fused -> fused.splitEvery(3));
    }

    @Test
    void aSplitReturnsPiecesOfItsOwnParameter() {
        String must = "; it must return what splitRows and splitEvery make of the parameter that it is given";
        String returned = "the split of parameter '" + FUSED + "' returned ";

        assertRefusedSplit(returned + "null" + must, _ -> null);
        assertRefusedSplit(
                returned + "other MATRIX 16×24" + must,
                fused -> Parameter.matrix("other", fused.weights(), fused.gradient(), 16, 24));
        assertRefusedSplit(returned + FUSED + " MATRIX 16×24" + must, fused -> fused.inGroup("adamw"));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment elsewhere = arena.allocate(16 * 24 * 4, 64);
            assertRefusedSplit(
                    returned + FUSED + " MATRIX 16×24" + must,
                    fused -> Parameter.matrix(FUSED, elsewhere, fused.gradient(), 16, 24));
        }
    }

    private static void assertRefusedSplit(String sentence, UnaryOperator<Parameter> split) {
        try (TinyModel model = new TinyModel(block());
                MuoniumOptimizer optimizer = undeclared(model, StateFormat.FP32)
                        .optSplit(FUSED, split)
                        .build();
                Trainer trainer = model.trainer(optimizer)) {
            assertRefusedInTheFirstStep(sentence, model, trainer);
        }
    }

    @Test
    void copiesOfWhatCannotBeSplitAreFreed() {
        Block linear = new SequentialBlock()
                .add(Linear.builder().setUnits(3).optBias(false).build());
        try (TinyModel model = new TinyModel(linear);
                Device device = Device.cpu(1);
                MuoniumOptimizer optimizer = MuoniumOptimizer.builder(linear)
                        .optNoHead()
                        .optSplit("01Linear_weight", weight -> weight.splitEvery(2))
                        .optDevice(device)
                        .build()) {
            linear.initialize(model.manager(), DataType.FLOAT32, new ai.djl.ndarray.types.Shape(2, 4));
            NDArray transposed =
                    model.manager().ones(new ai.djl.ndarray.types.Shape(4, 3)).transpose();
            long before = device.ledger().total();
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> optimizer.update(
                                    model.parameter("01Linear_weight").getId(), transposed, transposed.onesLike()))
                    .getMessage();

            assertTrue(message.contains("is to be split every 2 rows"), message);
            assertEquals(before, device.ledger().total());
        }
    }
}
