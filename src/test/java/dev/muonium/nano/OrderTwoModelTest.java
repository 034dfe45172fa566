package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

final class OrderTwoModelTest {
    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** By hand, for "abcabd": after "ab" c and d once each; after "b" the same; 6 bytes of 4 kinds. */
    @Test
    void interpolatesAsWittenAndBell() {
        OrderTwoModel model = new OrderTwoModel(bytes("abcabd"));
        double one = (1 + 4 / 256.0) / (6 + 4);
        double two = (1 + 2 * one) / (2 + 2);
        assertEquals((1 + 2 * two) / (2 + 2), model.probability('a', 'b', 'c'), 1e-15);
        assertEquals(one, model.probability('x', 'y', 'c'), 1e-15);
        assertEquals(two, model.probability('x', 'b', 'd'), 1e-15);
    }

    @Test
    void probabilitiesAddUpToOne() {
        OrderTwoModel model = new OrderTwoModel(bytes("the cat sat on the mat and that was that"));
        for (int[] context : new int[][] {{'t', 'h'}, {' ', 'c'}, {'q', 'q'}, {'x', 'a'}}) {
            double sum = 0;
            for (int c = 0; c < 256; c++) {
                sum += model.probability(context[0], context[1], c);
            }
            assertEquals(1, sum, 1e-12);
        }
    }

    @Test
    void crossEntropyIsTheMeanOfTheLogarithms() {
        OrderTwoModel model = new OrderTwoModel(bytes("abcabdabcab"));
        double expected =
                -(Math.log(model.probability('a', 'b', 'd')) + Math.log(model.probability('b', 'd', 'a'))) / 2;
        assertEquals(expected, model.crossEntropy(bytes("abda")), 1e-15);
    }

    @Test
    void refusesATextWithoutAThirdByte() {
        OrderTwoModel model = new OrderTwoModel(bytes("abc"));
        assertEquals(
                "a text of 2 bytes is too short; at least 3 are needed",
                assertThrows(IllegalArgumentException.class, () -> model.crossEntropy(bytes("ab")))
                        .getMessage());
    }
}
