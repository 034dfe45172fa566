package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.nano.GptConfig.Mlp;
import dev.muonium.optim.ParameterKind;
import java.util.List;
import org.junit.jupiter.api.Test;

final class GptConfigTest {
    private static GptConfig config(int heads, int kvHeads, int headDim, Mlp mlp, boolean tied) {
        return new GptConfig(11, 2, 12, heads, kvHeads, headDim, mlp, 20, 7, tied, 15, 10_000, 1e-6);
    }

    @Test
    void reproducesTheParameterCountsOfThePresets() {
        assertEquals(
                2L * 50257 * 256 + 4L * (4 * 256 * 256 + 3 * 256 * 512),
                new GptConfig(50257, 4, 256, 8, 8, 32, Mlp.GATED, 512, 256, false, 15, 1e4, 1e-6).parameterCount());
        assertEquals(
                282.4e6,
                (double) new GptConfig(50257, 24, 768, 12, 12, 64, Mlp.GATED, 2688, 1024, false, 15, 1e4, 1e-6)
                        .parameterCount(),
                0.1e6);
        assertEquals(
                3.03e9,
                (double) new GptConfig(50257, 34, 2560, 32, 8, 80, Mlp.GATED, 8960, 2048, true, 15, 1e4, 1e-6)
                        .parameterCount(),
                0.01e9);
    }

    @Test
    void listsEveryParameterWithItsShapeAndKind() {
        List<String> names = config(4, 2, 6, Mlp.GATED, false).parameters().stream()
                .map(p -> p.name() + " " + p.shape() + " " + p.kind())
                .toList();
        assertEquals(
                List.of(
                        "embedding 11×12 EMBEDDING",
                        "blocks.0.attn.q 24×12 MATRIX",
                        "blocks.0.attn.k 12×12 MATRIX",
                        "blocks.0.attn.v 12×12 MATRIX",
                        "blocks.0.attn.out 12×24 MATRIX",
                        "blocks.0.mlp.gate 20×12 MATRIX",
                        "blocks.0.mlp.up 20×12 MATRIX",
                        "blocks.0.mlp.down 12×20 MATRIX"),
                names.subList(0, 8));
        assertEquals("head 11×12 HEAD", names.getLast());
        assertEquals(1 + 2 * 7 + 1, names.size());
    }

    @Test
    void aTiedHeadIsNoParameterAndReluHasNoGate() {
        List<ParameterDescription> list = config(4, 2, 6, Mlp.RELU2, true).parameters();
        assertEquals(1 + 2 * 6, list.size());
        assertTrue(list.stream()
                .noneMatch(p -> p.kind() == ParameterKind.HEAD || p.name().contains("gate")));
    }

    @Test
    void refusesShapesThatDoNotFit() {
        assertEquals(
                "kv_heads is 3, which does not divide the 4 heads; each key and value head serves the same number of"
                        + " query heads",
                assertThrows(IllegalArgumentException.class, () -> config(4, 3, 6, Mlp.RELU2, false))
                        .getMessage());
        assertEquals(
                "head_dim is 5; it must be even, because rotary positions turn pairs",
                assertThrows(IllegalArgumentException.class, () -> config(4, 2, 5, Mlp.RELU2, false))
                        .getMessage());
        assertEquals(
                "kv_heads is 5; it must be from 1 to 4",
                assertThrows(IllegalArgumentException.class, () -> config(4, 5, 6, Mlp.RELU2, false))
                        .getMessage());
        assertEquals(
                "norm_eps is NaN; it must be from 1.0E-12 to 1.0",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new GptConfig(11, 2, 12, 4, 2, 6, Mlp.RELU2, 20, 7, true, 15, 1e4, Double.NaN))
                        .getMessage());
    }
}
