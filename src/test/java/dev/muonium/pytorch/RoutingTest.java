package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import java.util.Map;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Module;
import org.junit.jupiter.api.Test;

/** Which parameter goes where, and that it is said. */
@PyTorchTest
final class RoutingTest {
    private static final Muon MUON = Muon.defaults();
    private static final AdamW ADAM_W = AdamW.defaults();

    @Test
    void hiddenMatricesGoToMuonAndTheRestToAdamW() {
        try (ModuleOptimizer optimizer = ModuleOptimizer.builder(new ByteModel())
                .head(ByteModel.HEAD)
                .group(MUON.state(StateFormat.INT8))
                .group(ADAM_W)
                .build()) {
            assertEquals(
                    Map.of(
                            "embedding.weight", "adamw",
                            "up.weight", "muon",
                            "up.bias", "adamw",
                            "down.weight", "muon",
                            "down.bias", "adamw",
                            "head.weight", "adamw",
                            "head.bias", "adamw"),
                    groups(optimizer));
            assertEquals(ParameterKind.EMBEDDING, kind(optimizer, "embedding.weight"));
            assertEquals(ParameterKind.HEAD, kind(optimizer, "head.weight"));
            String text = optimizer.describe();
            assertTrue(text.contains("int8 linear/128"), text);
            assertTrue(text.contains("embeddings: embedding.weight\n"), text);
            assertTrue(text.contains("heads: head.weight\n"), text);
            assertTrue(text.matches("(?s).*\\bup\\.weight +48×48 +muon.*"), text);
        }
    }

    @Test
    void aHeadMustBeNamedOrDenied() {
        ByteModel model = new ByteModel();
        ModuleOptimizer.Builder silent =
                ModuleOptimizer.builder(model).group(MUON).group(ADAM_W);

        String message =
                assertThrows(IllegalArgumentException.class, silent::build).getMessage();

        assertEquals(
                "which of the matrices [up.weight, down.weight, head.weight] is the head? Muon is for hidden matrices,"
                        + " not for the last one, which gives the logits; name it with head(...), or say withoutHead()",
                message);
        try (ModuleOptimizer optimizer = silent.withoutHead().build()) {
            assertEquals("muon", groups(optimizer).get("head.weight"));
        }
    }

    @Test
    void namesThatTheModuleDoesNotHaveAreRefused() {
        ModuleOptimizer.Builder builder = ModuleOptimizer.builder(new ByteModel())
                .head("lm_head.weight")
                .group(MUON)
                .group(ADAM_W);

        String message =
                assertThrows(IllegalArgumentException.class, builder::build).getMessage();

        assertTrue(
                message.startsWith("the module has no parameter 'lm_head.weight', which was said to be a head; it has ["
                        + "embedding.weight, up.weight,"),
                message);
    }

    @Test
    void groupsWithConditionsComeFirstAndHaveTheirOwnRates() {
        try (ModuleOptimizer optimizer = ModuleOptimizer.builder(new ByteModel())
                .head(ByteModel.HEAD)
                .embedding("down.weight")
                .group(MUON)
                .group(ADAM_W.learningRate(0.5).weightDecay(0.25))
                .group(ADAM_W.name("biases").learningRate(0.125).weightDecay(0), name -> name.endsWith(".bias"))
                .group(ADAM_W.name("never"), name -> name.endsWith(".bias"))
                .build()) {
            Map<String, String> groups = groups(optimizer);

            assertEquals("biases", groups.get("up.bias"));
            assertEquals("adamw", groups.get("down.weight"));
            assertEquals("muon", groups.get("up.weight"));
            assertEquals(0.125, optimizer.learningRate("up.bias"));
            assertEquals(0, optimizer.group("biases").weightDecay());
            assertEquals(0.5, optimizer.learningRate("head.weight"));
            optimizer.group("biases").learningRate(0.0625);
            assertEquals(0.0625, optimizer.learningRate("head.bias"));
        }
    }

    @Test
    void everythingCanGoToAdamWWithoutAWordAboutHeads() {
        try (ModuleOptimizer optimizer = ModuleOptimizer.builder(new ByteModel())
                .group(ADAM_W.state(StateFormat.INT8), name -> true)
                .build()) {
            assertEquals(
                    7,
                    groups(optimizer).values().stream().filter("adamw"::equals).count());
        }
    }

    @Test
    void nothingFallsIntoAGroupThatDoesNotTakeIt() {
        ModuleOptimizer.Builder builder = ModuleOptimizer.builder(new ByteModel())
                .head(ByteModel.HEAD)
                .group(MUON)
                .group(ADAM_W.name("biases"), name -> name.endsWith(".bias"));

        String message =
                assertThrows(IllegalArgumentException.class, builder::build).getMessage();

        assertEquals(
                "parameter 'embedding.weight' is a EMBEDDING, for AdamW, and none of the groups [muon, biases] takes"
                        + " it; add a group of AdamW without a condition, or one whose condition holds for this name",
                message);
    }

    @Test
    void muonIsNotForVectors() {
        ModuleOptimizer.Builder builder = ModuleOptimizer.builder(new ByteModel())
                .head(ByteModel.HEAD)
                .group(MUON, name -> name.endsWith(".bias"))
                .group(ADAM_W)
                .group(MUON.name("matrices"));

        String message =
                assertThrows(IllegalArgumentException.class, builder::build).getMessage();

        assertTrue(message.contains("'up.bias' has the shape 48 and Muon updates matrices"), message);
    }

    @Test
    void convolutionKernelsGoToAdamW() {
        Conv2dImpl convolution = new Conv2dImpl(new Conv2dOptions(2, 3, new LongPointer(3, 3)));
        try (ModuleOptimizer optimizer =
                ModuleOptimizer.builder(convolution).group(ADAM_W).build()) {
            assertEquals(Map.of("weight", "adamw", "bias", "adamw"), groups(optimizer));
            assertTrue(optimizer.describe().contains("3×2×3×3"), optimizer.describe());
        }
    }

    @Test
    void weightsThatAreTiedAreOneParameter() {
        Tied model = new Tied();
        try (ModuleOptimizer optimizer =
                ModuleOptimizer.builder(model).group(MUON).group(ADAM_W).build()) {
            assertEquals(2, optimizer.parameters().size());
            assertEquals(ParameterKind.EMBEDDING, kind(optimizer, "table.weight"));
            assertTrue(
                    optimizer.describe().contains("tied, one parameter each: table.weight = head.weight\n"),
                    optimizer.describe());
        }
    }

    private static final class Tied extends Module {
        Tied() {
            EmbeddingImpl table = register_module("table", new EmbeddingImpl(20, 8));
            register_module("hidden", new LinearImpl(withoutBias(8, 8)));
            Module head = register_module("head", new Module("head"));
            head.register_parameter("weight", table.weight());
        }
    }

    private static LinearOptions withoutBias(long in, long out) {
        LinearOptions options = new LinearOptions(in, out);
        options.bias().put(false);
        return options;
    }

    private static Map<String, String> groups(ModuleOptimizer optimizer) {
        return optimizer.parameters().stream().collect(Collectors.toMap(Parameter::name, Parameter::group));
    }

    private static ParameterKind kind(ModuleOptimizer optimizer, String name) {
        return optimizer.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow()
                .kind();
    }
}
