package dev.muonium.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * One tensor of a safetensors file.
 *
 * @param name its key in the file
 * @param type the type of its elements
 * @param shape the extents, outermost first; empty for a scalar, and an extent may be 0
 * @param data the elements, row-major, little-endian, of exactly as many bytes as shape and type say. Of a file that was
 *     opened it is a read-only view of the mapped file, valid until {@link Safetensors#close()}, and need not be aligned
 *     to the element type
 */
public record StoredTensor(String name, StoredType type, List<Long> shape, MemorySegment data) {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /**
     * Checks that data, type and shape agree.
     *
     * @throws IllegalArgumentException if {@code data} is not of the size that they say
     */
    public StoredTensor {
        shape = List.copyOf(shape);
        long bytes = SafetensorsHeader.byteSize(shape, type);
        if (bytes != data.byteSize()) {
            throw new IllegalArgumentException("tensor '" + name + "' has " + data.byteSize() + " bytes; shape " + shape
                    + " of " + type + " needs " + (bytes < 0 ? "more than can be counted" : bytes));
        }
    }

    /** The number of elements: the product of the extents, 1 for a scalar. */
    public long elements() {
        return data.byteSize() / type.byteSize();
    }

    /**
     * A copy of the elements of an {@link StoredType#F32} or {@link StoredType#F64} tensor.
     *
     * @throws IllegalArgumentException if the type is another one, or there are more elements than an array holds
     */
    public double[] toDoubles() {
        double[] values = new double[arrayLength()];
        switch (type) {
            case F32 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = data.get(FLOAT, (long) i * Float.BYTES);
                }
            }
            case F64 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = data.get(DOUBLE, (long) i * Double.BYTES);
                }
            }
            default ->
                throw new IllegalArgumentException(
                        "tensor '" + name + "' has elements of type " + type + "; F32 or F64 was expected");
        }
        return values;
    }

    /**
     * A copy of the elements of an {@link StoredType#F32} tensor.
     *
     * @throws IllegalArgumentException if the type is another one, or there are more elements than an array holds
     */
    public float[] toFloats() {
        requireType(StoredType.F32);
        float[] values = new float[arrayLength()];
        MemorySegment.copy(data, FLOAT, 0, values, 0, values.length);
        return values;
    }

    /**
     * A copy of the elements of an {@link StoredType#I8} tensor.
     *
     * @throws IllegalArgumentException if the type is another one, or there are more elements than an array holds
     */
    public byte[] toBytes() {
        requireType(StoredType.I8);
        byte[] values = new byte[arrayLength()];
        MemorySegment.copy(data, ValueLayout.JAVA_BYTE, 0, values, 0, values.length);
        return values;
    }

    private void requireType(StoredType wanted) {
        if (type != wanted) {
            throw new IllegalArgumentException(
                    "tensor '" + name + "' has elements of type " + type + "; " + wanted + " was expected");
        }
    }

    private int arrayLength() {
        if (elements() > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("tensor '" + name + "' has " + elements()
                    + " elements, more than a Java array holds; read its data in place");
        }
        return (int) elements();
    }
}
