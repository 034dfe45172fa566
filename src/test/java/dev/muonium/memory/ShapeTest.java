package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class ShapeTest {
    @Test
    void isAValue() {
        long[] extents = {768, 3072};
        Shape shape = Shape.of(extents);
        extents[0] = 1;

        assertEquals(Shape.of(768, 3072), shape);
        assertEquals(Shape.of(768, 3072).hashCode(), shape.hashCode());
        assertNotEquals(Shape.of(3072, 768), shape);
        assertEquals("768×3072", shape.toString());
        assertEquals(768 * 3072, shape.elements());
        assertTrue(shape.isMatrix());
    }

    @Test
    void refusesWhatIsNoShape() {
        assertThrows(IllegalArgumentException.class, Shape::of);
        assertEquals(
                "shape [4, 0] has the extent 0; every extent must be at least 1",
                assertThrows(IllegalArgumentException.class, () -> Shape.of(4, 0))
                        .getMessage());
        assertThrows(IllegalArgumentException.class, () -> Shape.of(1L << 40, 1L << 40));
    }
}
