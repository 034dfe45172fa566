package dev.muonium.quant;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;

/**
 * The 256 values that the codes of an INT8 dynamic format stand for, in ascending order, before they are multiplied by their
 * block's scale. Dense around zero and sparse towards 1: the relative error is about the same over seven orders of
 * magnitude (Dettmers et al., arXiv 2110.02861). The signed map reaches from -0.993 to 1, the unsigned one from 0 to 1.
 *
 * <p>Immutable.
 */
public final class DynamicMap {
    /** The number of codes. */
    public static final int SIZE = 256;

    private final BlockFormat format;
    private final float[] values;

    private DynamicMap(BlockFormat format, float[] values) {
        this.format = format;
        this.values = values;
    }

    /**
     * The map that a device's kernels use.
     *
     * @throws IllegalArgumentException if the format is not one of the two dynamic ones
     */
    public static DynamicMap of(Device device, BlockFormat format) {
        return new DynamicMap(format, device.kernels().dynamicMap(format));
    }

    /** The format that this map belongs to. */
    public BlockFormat format() {
        return format;
    }

    /**
     * What a code stands for.
     *
     * @param code from 0 to 255
     */
    public float value(int code) {
        if (code < 0 || code >= SIZE) {
            throw new IllegalArgumentException("code is " + code + "; it must be from 0 to 255");
        }
        return values[code];
    }

    /**
     * The code of the value nearest to {@code a}; a tie goes to the lower one.
     *
     * @param a a value divided by its block's absmax; what lies outside the map gets its first or last code
     * @throws IllegalArgumentException if {@code a} is NaN
     */
    public int nearest(float a) {
        if (Float.isNaN(a)) {
            throw new IllegalArgumentException("a is NaN, which is near to no value of the map");
        }
        int code = 0;
        // Sums of two floats of like size and doubled floats are exact in double.
        while (code < SIZE - 1 && 2.0 * a > (double) values[code] + values[code + 1]) {
            code++;
        }
        return code;
    }
}
