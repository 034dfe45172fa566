package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.BatchNorm;
import ai.djl.nn.transformer.IdEmbedding;
import dev.muonium.optim.ParameterKind;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What parameters are taken for. */
@Tag("djl")
final class RoutingTest {
    private static Map<String, ParameterKind> kinds(Block block, Declared declared) {
        Map<String, ParameterKind> kinds = new LinkedHashMap<>();
        Routing.of(block, declared).routes().forEach(route -> kinds.put(route.name(), route.kind()));
        return kinds;
    }

    private static final Declared NOTHING = new Declared(Map.of(), true, List.of());

    private static Declared declared(Set<String> embeddings, Set<String> heads) {
        return new Declared(Map.of(ParameterKind.EMBEDDING, embeddings, ParameterKind.HEAD, heads), false, List.of());
    }

    private static SequentialBlock language(TinyModel model) {
        SequentialBlock block = new SequentialBlock()
                .add(new IdEmbedding.Builder()
                        .setDictionarySize(50)
                        .setEmbeddingSize(8)
                        .build())
                .add(Linear.builder().setUnits(12).build())
                .add(Linear.builder().setUnits(50).optBias(false).build());
        block.initialize(model.manager(), DataType.FLOAT32, new Shape(2, 3));
        return block;
    }

    @Test
    void embeddingsByTheirBlockHeadByItsPlace() {
        try (TinyModel model = new TinyModel()) {
            assertEquals(
                    List.of(
                            Map.entry("01IdEmbedding_embedding", ParameterKind.EMBEDDING),
                            Map.entry("02Linear_weight", ParameterKind.MATRIX),
                            Map.entry("02Linear_bias", ParameterKind.VECTOR),
                            Map.entry("03Linear_weight", ParameterKind.HEAD)),
                    List.copyOf(kinds(language(model), NOTHING).entrySet()));
        }
    }

    @Test
    void declarationsComeFirst() {
        try (TinyModel model = new TinyModel()) {
            SequentialBlock block = language(model);
            Map<String, ParameterKind> said =
                    kinds(block, declared(Set.of("02Linear_weight"), Set.of("01IdEmbedding_embedding")));
            assertEquals(ParameterKind.HEAD, said.get("01IdEmbedding_embedding"));
            assertEquals(ParameterKind.EMBEDDING, said.get("02Linear_weight"));
            assertEquals(ParameterKind.MATRIX, said.get("03Linear_weight"));

            assertEquals(
                    ParameterKind.MATRIX,
                    kinds(block, declared(Set.of(), Set.of())).get("03Linear_weight"),
                    "a block without a head");
            assertThrows(IllegalArgumentException.class, () -> kinds(block, declared(Set.of("no such"), Set.of())));
        }
    }

    @Test
    void everythingElseIsNoMatrix() {
        try (TinyModel model = new TinyModel()) {
            SequentialBlock block = new SequentialBlock()
                    .add(Conv2d.builder()
                            .setKernelShape(new Shape(3, 3))
                            .setFilters(4)
                            .build())
                    .add(BatchNorm.builder().build());
            block.initialize(model.manager(), DataType.FLOAT32, new Shape(1, 1, 8, 8));

            Map<String, ParameterKind> kinds = kinds(block, NOTHING);
            assertTrue(kinds.values().stream().allMatch(ParameterKind.VECTOR::equals), kinds.toString());
            assertTrue(
                    Routing.of(block, NOTHING)
                            .describe()
                            .contains("weight with 4 axes, which is no matrix; optConvolution or optStack say"
                                    + " otherwise\n"),
                    Routing.of(block, NOTHING).describe());
            assertTrue(
                    Routing.of(block, NOTHING).describe().contains("running_mean (frozen)"),
                    Routing.of(block, NOTHING).describe());
        }
    }

    @Test
    void aTiedParameterGoesByItsFirstNameAndByWhatItIsDeclaredUnderAnyOther() {
        try (TinyModel model = new TinyModel()) {
            Linear tied = Linear.builder().setUnits(12).optBias(false).build();
            SequentialBlock block = new SequentialBlock()
                    .add(tied)
                    .add(tied)
                    .add(Linear.builder().setUnits(12).optBias(false).build());
            block.initialize(model.manager(), DataType.FLOAT32, new Shape(2, 12));

            assertEquals(
                    Map.of("01Linear_weight", ParameterKind.MATRIX, "03Linear_weight", ParameterKind.HEAD),
                    kinds(block, NOTHING));
            assertEquals(
                    Map.of("01Linear_weight", ParameterKind.HEAD, "03Linear_weight", ParameterKind.MATRIX),
                    kinds(block, declared(Set.of(), Set.of("02Linear_weight"))));
        }
    }

    @Test
    void theTableShowsTheReasons() {
        try (TinyModel model = new TinyModel();
                MuoniumOptimizer optimizer =
                        MuoniumOptimizer.builder(language(model)).build()) {
            String table = optimizer.describe();
            assertTrue(table.contains("of a block of class IdEmbedding"), table);
            assertTrue(table.contains("50×12  HEAD"), table);
            assertTrue(table.contains("the last matrix, taken for the head"), table);
            assertTrue(table.contains("weight with 2 axes"), table);
        }
    }
}
