package dev.muonium.memory;

/**
 * How an array of optimizer state is stored: codes, and one FP32 scale per block of consecutive elements (flat,
 * row-major; the last block may be short).
 */
public enum BlockFormat {
    /** FP32 values, no scales. */
    F32(4, false),
    /** Code {@code q} in -127..127 for {@code q·scale}, with {@code scale = absmax / 127}. */
    INT8_LINEAR(1, true),
    /** Index into the signed dynamic map for {@code map[q]·scale}, with {@code scale = absmax}. */
    INT8_DYNAMIC_SIGNED(1, true),
    /** Index into the unsigned dynamic map, for values that are never negative. */
    INT8_DYNAMIC_UNSIGNED(1, true),
    /**
     * A number of the format E4M3 of the Open Compute Project (its variant without infinities, up to 448) times {@code scale},
     * with {@code scale = absmax / 448}. For activations and weights, not for optimizer state.
     */
    FP8_E4M3(1, true),
    /** A number of the format E5M2, up to 57344, times {@code scale = absmax / 57344}. For gradients, not for optimizer state. */
    FP8_E5M2(1, true);

    /** The block size that is used where none is asked for. */
    public static final int DEFAULT_BLOCK = 128;

    private final int codeBytes;
    private final boolean scaled;

    BlockFormat(int codeBytes, boolean scaled) {
        this.codeBytes = codeBytes;
        this.scaled = scaled;
    }

    /** The element type of the codes. */
    public ElementType codeType() {
        return switch (this) {
            case F32 -> ElementType.F32;
            case INT8_LINEAR -> ElementType.I8;
            case INT8_DYNAMIC_SIGNED, INT8_DYNAMIC_UNSIGNED, FP8_E4M3, FP8_E5M2 -> ElementType.U8;
        };
    }

    /** Whether the format has scales. */
    public boolean isScaled() {
        return scaled;
    }

    /** The number of scales of {@code elements} elements: {@code ceil(elements / block)}, or 0 without scales. */
    public long scales(long elements, int block) {
        return scaled ? (elements + block - 1) / block : 0;
    }

    /** Bytes of codes and scales together; for INT8 with block 128 that is 1.03125 per element. */
    public long bytes(long elements, int block) {
        return elements * codeBytes + scales(elements, block) * Float.BYTES;
    }

    /**
     * Checks that an optimizer can keep its state in this format.
     *
     * @param name what is stored, for the message
     * @throws IllegalArgumentException for {@link #FP8_E4M3} and {@link #FP8_E5M2}
     */
    public BlockFormat requireOptimizerState(String name) {
        if (this == FP8_E4M3 || this == FP8_E5M2) {
            throw new IllegalArgumentException(name + " cannot be kept as " + this
                    + ": its three bits of mantissa or fewer lose small updates; use INT8_LINEAR, a dynamic"
                    + " format or F32");
        }
        return this;
    }

    /**
     * Checks a block size.
     *
     * @throws IllegalArgumentException unless it is a power of two from 64 to 2048
     */
    public static int requireBlock(int block) {
        if (block < 64 || block > 2048 || Integer.bitCount(block) != 1) {
            throw new IllegalArgumentException(
                    "block size is " + block + "; it must be a power of two from 64 to 2048");
        }
        return block;
    }
}
