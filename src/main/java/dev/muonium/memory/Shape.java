package dev.muonium.memory;

import java.util.Arrays;

/**
 * The extents of a row-major tensor, outermost first. Immutable; two shapes are equal when their extents are.
 */
public final class Shape {
    private final long[] extents;
    private final long elements;

    private Shape(long[] extents) {
        this.extents = extents;
        long product = 1;
        for (long extent : extents) {
            if (extent < 1) {
                throw new IllegalArgumentException("shape " + Arrays.toString(extents) + " has the extent " + extent
                        + "; every extent must be at least 1");
            }
            try {
                product = Math.multiplyExact(product, extent);
            } catch (ArithmeticException e) {
                throw new IllegalArgumentException(
                        "shape " + Arrays.toString(extents) + " has more elements than a 64-bit count can hold", e);
            }
        }
        this.elements = product;
    }

    /**
     * @param extents the extents, outermost first; at least one
     * @throws IllegalArgumentException if there is none, one is below 1, or their product overflows
     */
    public static Shape of(long... extents) {
        if (extents.length == 0) {
            throw new IllegalArgumentException("a shape needs at least one extent");
        }
        return new Shape(extents.clone());
    }

    /** The number of extents. */
    public int rank() {
        return extents.length;
    }

    /** The extent of one axis; axis 0 is the outermost. */
    public long extent(int axis) {
        return extents[axis];
    }

    /** The number of elements: the product of all extents. */
    public long elements() {
        return elements;
    }

    /** Whether the rank is 2. */
    public boolean isMatrix() {
        return extents.length == 2;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape shape && Arrays.equals(extents, shape.extents);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(extents);
    }

    /** For example {@code 768×3072}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (long extent : extents) {
            text.append(text.isEmpty() ? "" : "×").append(extent);
        }
        return text.toString();
    }
}
