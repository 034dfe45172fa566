package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.Shape;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Kernels of convolutions, stacks of experts and fused matrices under Muon, each of whose matrices is orthogonalized by itself. */
@PyTorchTest
final class MatricesTest {
    private static final int STEPS = 15;

    private static Parameter heads(Parameter fused) {
        return fused.splitRows(8, 4, 4).splitEvery(4);
    }

    private static ModuleOptimizer.Builder builder(PictureModel model, StateFormat state) {
        return ModuleOptimizer.builder(model)
                .head(PictureModel.HEAD)
                .convolution(PictureModel.CONVOLUTION, PictureModel.GROUPED)
                .stack(PictureModel.EXPERTS)
                .group(Muon.defaults().state(state))
                .group(AdamW.defaults().learningRate(3e-3).state(state));
    }

    private static ModuleOptimizer.Builder split(PictureModel model, StateFormat state) {
        return builder(model, state)
                .split(PictureModel.GROUPED, kernel -> kernel.splitEvery(4))
                .split(PictureModel.FUSED, MatricesTest::heads);
    }

    @ParameterizedTest
    @CsvSource({"FP32, false", "INT8, false", "FP32, true", "INT8, true"})
    void takesTheStepsOfTheOptimizerThatGetsTheSameMatrices(StateFormat state, boolean bfloat16) {
        PictureModel model = bfloat16 ? new PictureModel().inBfloat16() : new PictureModel();
        Consumer<Optimizer.Builder> settings =
                builder -> builder.clipGlobalNorm(0.5).seed(3);
        try (Arena arena = Arena.ofShared();
                CpuDevice device = Device.cpu(2);
                PlainOptimizer plain = new PlainOptimizer(
                        device,
                        arena,
                        model,
                        settings.andThen(builder -> builder.group(
                                        Muon.defaults().state(state))
                                .group(AdamW.defaults().learningRate(3e-3).state(state))),
                        MatricesTest::kind,
                        MatricesTest::plainSplit);
                ModuleOptimizer optimizer =
                        split(model, state).settings(settings).build()) {
            for (int step = 0; step < STEPS; step++) {
                optimizer.zeroGrad();
                model.backward(step);
                plain.assertSameStep(model, optimizer);
            }
            assertEquals(plain.optimizer().stateBytes(), optimizer.stateBytes());
        }
    }

    private static ParameterKind kind(String name) {
        return switch (name) {
            case PictureModel.CONVOLUTION, PictureModel.GROUPED -> ParameterKind.CONVOLUTION;
            case PictureModel.EXPERTS -> ParameterKind.STACK;
            case PictureModel.FUSED -> ParameterKind.MATRIX;
            case PictureModel.HEAD -> ParameterKind.HEAD;
            default -> ParameterKind.VECTOR;
        };
    }

    private static Parameter plainSplit(Parameter parameter) {
        return switch (parameter.name()) {
            case PictureModel.GROUPED, PictureModel.FUSED -> parameter.splitEvery(4);
            default -> parameter;
        };
    }

    @Test
    void eachDeclarationChangesItsOwnParameterOnly() {
        Map<String, byte[]> undeclared = afterOneStep(MatricesTest::undeclared);
        Map<String, byte[]> whole = afterOneStep(model -> builder(model, StateFormat.FP32));
        Map<String, byte[]> split = afterOneStep(model -> split(model, StateFormat.FP32));

        assertEquals(
                List.of(PictureModel.CONVOLUTION, PictureModel.EXPERTS, PictureModel.GROUPED),
                differences(undeclared, whole));
        assertEquals(List.of(PictureModel.FUSED, PictureModel.GROUPED), differences(whole, split));
    }

    private static ModuleOptimizer.Builder undeclared(PictureModel model) {
        return ModuleOptimizer.builder(model)
                .head(PictureModel.HEAD)
                .group(Muon.defaults())
                .group(AdamW.defaults().learningRate(3e-3));
    }

    private static Map<String, byte[]> afterOneStep(Function<PictureModel, ModuleOptimizer.Builder> builder) {
        PictureModel model = new PictureModel();
        try (ModuleOptimizer optimizer = builder.apply(model).build()) {
            train(model, optimizer, 0, 1);
        }
        return Torch.weights(model);
    }

    private static List<String> differences(Map<String, byte[]> one, Map<String, byte[]> other) {
        return one.keySet().stream()
                .filter(name -> !Arrays.equals(one.get(name), other.get(name)))
                .sorted()
                .toList();
    }

    @Test
    void learns() {
        PictureModel model = new PictureModel();
        try (ModuleOptimizer optimizer = split(model, StateFormat.INT8).build()) {
            float before = train(model, optimizer, 0, 1);
            float after = train(model, optimizer, 1, 100);

            assertTrue(after < before / 3, before + " → " + after);
        }
    }

    private static float train(PictureModel model, ModuleOptimizer optimizer, int first, int end) {
        float loss = Float.NaN;
        for (int step = first; step < end; step++) {
            optimizer.zeroGrad();
            loss = model.backward(step);
            optimizer.step();
        }
        return loss;
    }

    @Test
    void theTableShowsTheMatrices() {
        try (ModuleOptimizer optimizer =
                split(new PictureModel(), StateFormat.INT8).build()) {
            String table = optimizer.describe();

            assertTrue(table.matches("(?s).*\\bconvolution\\.weight +6×1×3×3 as 6×9 +muon .*"), table);
            assertTrue(table.matches("(?s).*\\bgrouped\\.weight +8×3×3×3 as 2 of 4×27 +muon .*"), table);
            assertTrue(table.matches("(?s).*\\bfused\\.weight +16×8 as 4 of 4×8 +muon .*"), table);
            assertTrue(table.matches("(?s).*\\bexperts +3×8×12 as 3 of 8×12 +muon .*"), table);
            assertTrue(table.contains("\nconvolutions: convolution.weight, grouped.weight\n"), table);
            assertTrue(table.contains("\nstacks: experts\n"), table);
        }
    }

    @Test
    void groupsWithConditionsComeFirst() {
        try (ModuleOptimizer optimizer = builder(new PictureModel(), StateFormat.FP32)
                .group(AdamW.defaults().name("convolutions"), PictureModel.CONVOLUTION::equals)
                .group(Muon.defaults().name("experts"), PictureModel.EXPERTS::equals)
                .build()) {
            assertEquals(
                    "convolutions",
                    parameter(optimizer, PictureModel.CONVOLUTION).group());
            assertEquals("experts", parameter(optimizer, PictureModel.EXPERTS).group());
            assertEquals("muon", parameter(optimizer, PictureModel.GROUPED).group());
        }
    }

    private static Parameter parameter(ModuleOptimizer optimizer, String name) {
        return optimizer.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void stateIsThatOfTheWholeParameter(@TempDir Path folder) {
        Path ofPieces = folder.resolve("pieces.safetensors");
        Path ofWhole = folder.resolve("whole.safetensors");
        PictureModel model = new PictureModel();
        PictureModel resumed = new PictureModel();
        try (ModuleOptimizer optimizer = builder(resumed, StateFormat.INT8).build()) {
            train(resumed, optimizer, 0, 1);
            optimizer.save(ofWhole);
        }
        try (ModuleOptimizer optimizer = split(model, StateFormat.INT8).build()) {
            train(model, optimizer, 0, 1);
            optimizer.save(ofPieces);
            assertSameTensors(ofWhole, ofPieces);
            Torch.copyWeights(model, resumed);
            train(model, optimizer, 1, 6);
        }
        try (ModuleOptimizer optimizer = split(resumed, StateFormat.INT8).build()) {
            optimizer.load(ofWhole);
            train(resumed, optimizer, 1, 6);
        }
        assertEquals(List.of(), differences(Torch.weights(model), Torch.weights(resumed)));
    }

    private static void assertSameTensors(Path expected, Path actual) {
        try (Safetensors one = Safetensors.open(expected);
                Safetensors other = Safetensors.open(actual)) {
            assertEquals(one.names(), other.names());
            assertTrue(one.names().contains("grouped.weight.momentum_buffer"), one.names()::toString);
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
        PictureModel model = new PictureModel();
        PictureModel resumed = new PictureModel();
        try (ModuleOptimizer optimizer = split(model, StateFormat.FP32).build()) {
            train(model, optimizer, 0, 4);
            optimizer.foreignState().saveTorch(file);
            Torch.copyWeights(model, resumed);
            train(model, optimizer, 4, 8);
        }
        try (ModuleOptimizer optimizer = split(resumed, StateFormat.FP32).build();
                Safetensors content = Safetensors.open(file)) {
            assertEquals(
                    List.of(8L, 3L, 3L, 3L),
                    content.tensor("grouped.weight.momentum_buffer").shape());
            assertEquals(
                    List.of(3L, 8L, 12L),
                    content.tensor("experts.momentum_buffer").shape());
            assertEquals(
                    List.of(16L, 8L),
                    content.tensor("fused.weight.momentum_buffer").shape());
            optimizer.foreignState().load(file);
            train(resumed, optimizer, 4, 8);
        }
        assertEquals(List.of(), differences(Torch.weights(model), Torch.weights(resumed)));
    }

    @Test
    void aFrozenParameterIsSplitWhenItIsTrained() {
        PictureModel model = new PictureModel();
        Torch.parameter(model, PictureModel.FUSED).requires_grad_(false);
        Torch.parameter(model, PictureModel.CONVOLUTION).requires_grad_(false);
        try (ModuleOptimizer optimizer = split(model, StateFormat.FP32).build()) {
            train(model, optimizer, 0, 2);
            assertTrue(
                    optimizer.describe().contains("frozen, without state: convolution.weight, fused.weight\n"),
                    optimizer.describe());

            Torch.parameter(model, PictureModel.FUSED).requires_grad_(true);
            Torch.parameter(model, PictureModel.CONVOLUTION).requires_grad_(true);
            train(model, optimizer, 2, 4);
            assertEquals(
                    Collections.nCopies(4, Shape.of(4, 8)),
                    parameter(optimizer, PictureModel.FUSED).matrices());
            assertEquals(
                    List.of(Shape.of(6, 9)),
                    parameter(optimizer, PictureModel.CONVOLUTION).matrices());
            assertEquals(2, optimizer.state(PictureModel.FUSED).step());
        }
    }

    @Test
    void namesThatTheModuleDoesNotHaveAreRefused() {
        PictureModel model = new PictureModel();
        String has = "; it has [experts, convolution.weight, convolution.bias, ";

        assertBegins(
                "the module has no parameter 'conv.weight', which was said to be a convolution" + has,
                undeclared(model).convolution(PictureModel.GROUPED, "conv.weight"));
        assertBegins(
                "the module has no parameter 'expert', which was said to be a stack" + has,
                undeclared(model).stack("expert"));
        assertBegins(
                "the module has no parameter 'qkv', which was said to be split" + has,
                undeclared(model).split("qkv", MatricesTest::heads));
    }

    @Test
    void oneThingIsSaidOfAParameter() {
        PictureModel model = new PictureModel();

        assertRefused(
                "parameter 'experts' was said to be a stack and a convolution; say one of both",
                undeclared(model).convolution(PictureModel.EXPERTS).stack(PictureModel.EXPERTS));
        assertRefused(
                "parameter 'head.weight' was said to be a convolution and a head; say one of both",
                undeclared(model).convolution(PictureModel.HEAD));
        assertRefused(
                "parameter 'head.weight' was said to be an embedding and a head; say one of both",
                undeclared(model).embedding(PictureModel.HEAD));
        assertRefused(
                "parameter 'fused.weight' was split twice; say it in one call, which may cut again what it has cut",
                split(model, StateFormat.FP32).split(PictureModel.FUSED, whole -> whole.splitEvery(2)));
    }

    @Test
    void ofATiedParameterAsWell() {
        Module tied = new Module("tied");
        Tensor weights = torch.zeros(4, 4, 3);
        tied.register_parameter("one", weights);
        tied.register_parameter("other", Torch.parameter(tied, "one"));

        assertRefused(
                "parameter 'one = other' was said to be a stack and an embedding; say one of both",
                ofOneGroup(tied).stack("one").embedding("other"));
        assertRefused(
                "parameter 'one' was split twice; say it in one call, which may cut again what it has cut",
                ofOneGroup(tied).stack("one").split("one", MatricesTest::heads).split("other", MatricesTest::heads));
        try (ModuleOptimizer optimizer = ofOneGroup(tied)
                .stack("other")
                .split("other", stack -> stack.splitEvery(2))
                .build()) {
            assertEquals(
                    Collections.nCopies(8, Shape.of(2, 3)),
                    parameter(optimizer, "one").matrices());
        }
        try (ModuleOptimizer optimizer = ofOneGroup(tied)
                .embedding("one")
                .head("other")
                .group(AdamW.defaults())
                .build()) {
            assertEquals(ParameterKind.HEAD, parameter(optimizer, "one").kind());
        }
    }

    private static ModuleOptimizer.Builder ofOneGroup(Module module) {
        return ModuleOptimizer.builder(module).group(Muon.defaults());
    }

    @Test
    void shapesAreThoseOfTheirKinds() {
        String convolution = ", and was said to be a convolution, whose kernel has 3 to 5 dimensions, as out × in ×"
                + " height × width";
        String stack = ", and was said to be a stack, which has 3 dimensions or more, as experts × rows × cols";

        assertRefused(
                "parameter 'weight' has the shape 4×3" + convolution,
                ofOneGroup(ofShape(4, 3)).convolution("weight"));
        assertRefused(
                "parameter 'weight' has the shape 4×3×1×2×2×2" + convolution,
                ofOneGroup(ofShape(4, 3, 1, 2, 2, 2)).convolution("weight"));
        assertRefused(
                "parameter 'weight' has the shape 4×3" + stack,
                ofOneGroup(ofShape(4, 3)).stack("weight"));
        Module frozen = ofShape(7);
        frozen.register_parameter("trained", torch.zeros(2, 2));
        Torch.parameter(frozen, "weight").requires_grad_(false);
        assertRefused(
                "parameter 'weight' has the shape 7" + stack,
                ofOneGroup(frozen).withoutHead().stack("weight"));
    }

    @ParameterizedTest
    @CsvSource({"4 3 2, 4×6, 4 of 3×2", "4 3 2 2, 4×12, 12 of 2×2", "4 3 2 2 5, 4×60, 24 of 2×5"})
    void kernelsAndStacksOfMoreDimensions(String extents, String kernel, String stack) {
        long[] shape =
                Arrays.stream(extents.split(" ")).mapToLong(Long::parseLong).toArray();
        try (ModuleOptimizer optimizer =
                ofOneGroup(ofShape(shape)).convolution("weight").build()) {
            assertTrue(optimizer.describe().contains(" as " + kernel + " "), optimizer.describe());
        }
        try (ModuleOptimizer optimizer =
                ofOneGroup(ofShape(shape)).stack("weight").build()) {
            assertTrue(optimizer.describe().contains(" as " + stack + " "), optimizer.describe());
        }
    }

    private static Module ofShape(long... shape) {
        Module module = new Module("of one parameter");
        module.register_parameter("weight", torch.zeros(shape));
        return module;
    }

    @Test
    void onlyWhatGoesToMuonIsSplit() {
        PictureModel model = new PictureModel();
        String onlyMuon = " of AdamW, and only what goes to Muon can be split";

        assertRefused(
                "parameter 'head.weight' is a HEAD in the group 'adamw'" + onlyMuon,
                undeclared(model).split(PictureModel.HEAD, MatricesTest::heads));
        assertRefused(
                "parameter 'fused.bias' is a VECTOR in the group 'adamw'" + onlyMuon,
                undeclared(model).split("fused.bias", MatricesTest::heads));
        assertRefused(
                "parameter 'experts' is a VECTOR in the group 'adamw'" + onlyMuon
                        + "; say convolution(...) or stack(...) if it is one",
                undeclared(model).split(PictureModel.EXPERTS, MatricesTest::heads));
        assertRefused(
                "parameter 'fused.weight' is a MATRIX in the group 'mine'" + onlyMuon,
                undeclared(model)
                        .group(AdamW.defaults().name("mine"), PictureModel.FUSED::equals)
                        .split(PictureModel.FUSED, MatricesTest::heads));
    }

    @Test
    void piecesMustBeAllOfTheRows() {
        PictureModel model = new PictureModel();

        assertRefused(
                "parameter 'fused.weight' is to be split into [8, 4] rows; together they must be the 16 of its matrix"
                        + " of 16×8",
                undeclared(model).split(PictureModel.FUSED, fused -> fused.splitRows(8, 4)));
        assertRefused(
                "parameter 'fused.weight' is to be split every 3 rows; its matrix of 16×8 must be a whole number of"
                        + " them",
                undeclared(model).split(PictureModel.FUSED, fused -> fused.splitEvery(3)));
    }

    @Test
    void aSplitReturnsPiecesOfItsOwnParameter() {
        PictureModel model = new PictureModel();
        String must = "; it must return what splitRows and splitEvery make of the parameter that it is given";

        assertRefused(
                "the split of parameter 'fused.weight' returned null" + must,
                undeclared(model).split(PictureModel.FUSED, _ -> null));
        assertRefused(
                "the split of parameter 'fused.weight' returned other MATRIX 16×8" + must,
                undeclared(model)
                        .split(
                                PictureModel.FUSED,
                                fused -> Parameter.matrix("other", fused.weights(), fused.gradient(), 16, 8)));
        try (Arena arena = Arena.ofShared()) {
            assertRefused(
                    "the split of parameter 'fused.weight' returned fused.weight MATRIX 16×8" + must,
                    undeclared(model)
                            .split(
                                    PictureModel.FUSED,
                                    fused -> Parameter.matrix(
                                            PictureModel.FUSED, arena.allocate(512, 4), fused.gradient(), 16, 8)));
        }
    }

    private static void assertRefused(String sentence, ModuleOptimizer.Builder builder) {
        assertEquals(
                sentence,
                assertThrows(IllegalArgumentException.class, builder::build).getMessage());
    }

    private static void assertBegins(String sentence, ModuleOptimizer.Builder builder) {
        String message =
                assertThrows(IllegalArgumentException.class, builder::build).getMessage();
        assertTrue(message.startsWith(sentence), message);
    }
}
