package dev.muonium.checkpoint;

import dev.muonium.memory.ElementType;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The element types of the safetensors format, by their names there. */
public enum StoredType {
    /** A truth value in a byte. */
    BOOL(1, null),
    /** Unsigned 8-bit integer. */
    U8(1, ElementType.U8),
    /** Signed 8-bit integer. */
    I8(1, ElementType.I8),
    /** FP8 with 5 exponent bits. */
    F8_E5M2(1, null),
    /** FP8 with 4 exponent bits. */
    F8_E4M3(1, null),
    /** Signed 16-bit integer. */
    I16(2, null),
    /** Unsigned 16-bit integer. */
    U16(2, null),
    /** IEEE 754 binary16. */
    F16(2, null),
    /** bfloat16. */
    BF16(2, ElementType.BF16),
    /** Signed 32-bit integer. */
    I32(4, ElementType.I32),
    /** Unsigned 32-bit integer. */
    U32(4, null),
    /** IEEE 754 binary32. */
    F32(4, ElementType.F32),
    /** IEEE 754 binary64. */
    F64(8, ElementType.F64),
    /** Signed 64-bit integer. */
    I64(8, ElementType.I64),
    /** Unsigned 64-bit integer. */
    U64(8, null);

    private final int byteSize;
    private final @Nullable ElementType elementType;

    StoredType(int byteSize, @Nullable ElementType elementType) {
        this.byteSize = byteSize;
        this.elementType = elementType;
    }

    /** Bytes of one element. */
    public int byteSize() {
        return byteSize;
    }

    /** The element type of Muonium's own tensors that holds the same values; empty where there is none. */
    public Optional<ElementType> elementType() {
        return Optional.ofNullable(elementType);
    }

    /** The type that holds the elements of one of Muonium's own tensors. */
    static StoredType of(ElementType type) {
        for (StoredType stored : values()) {
            if (stored.elementType == type) {
                return stored;
            }
        }
        throw new IllegalArgumentException("safetensors files have no type for " + type);
    }

    static @Nullable StoredType named(String name) {
        for (StoredType type : values()) {
            if (type.name().equals(name)) {
                return type;
            }
        }
        return null;
    }
}
