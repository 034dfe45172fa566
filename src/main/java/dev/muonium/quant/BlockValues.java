package dev.muonium.quant;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * The values of an array in a block format, decoded one at a time in Java from codes and scales that the host can read: element i is
 * {@code q[i]·scale[i / block]} (INT8 linear), {@code map[q[i]]·scale[i / block]} (INT8 dynamic) or the FP32 value itself, with the one FP32 product that the
 * kernels make, so the bits are theirs. For statistics, exchange with other frameworks and tests; whole arrays are a kernel's work.
 *
 * <p>Borrows the memory, which need not be aligned. Reads are thread-safe while nothing writes it.
 */
public final class BlockValues {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final BlockFormat format;
    private final int block;
    private final MemorySegment codes;
    private final MemorySegment scales;
    private final float[] map;

    /**
     * @param device whose dynamic maps are used; the memory is the host's
     * @param block elements per scale; any positive number
     * @param codes the codes, or FP32 values
     * @param scales one FP32 scale per block, or null for {@link BlockFormat#F32}
     * @throws IllegalArgumentException for an FP8 format, or if a format with scales has none
     */
    public BlockValues(
            Device device, BlockFormat format, int block, MemorySegment codes, @Nullable MemorySegment scales) {
        format.requireOptimizerState("an array that is decoded in Java");
        if (format.isScaled() && scales == null) {
            throw new IllegalArgumentException("an array of " + format + " needs scales; there are none");
        }
        if (block < 1) {
            throw new IllegalArgumentException("block size is " + block + "; it must be positive");
        }
        this.format = format;
        this.block = block;
        this.codes = codes;
        this.scales = scales == null ? MemorySegment.NULL : scales;
        this.map = switch (format) {
            case INT8_DYNAMIC_SIGNED, INT8_DYNAMIC_UNSIGNED -> device.kernels().dynamicMap(format);
            default -> new float[0];
        };
    }

    /** The value of element {@code i}, from 0. */
    public float at(long i) {
        return switch (format) {
            case F32 -> codes.get(FLOAT, i * Float.BYTES);
            case INT8_LINEAR -> codes.get(ValueLayout.JAVA_BYTE, i) * scale(i);
            default -> map[codes.get(ValueLayout.JAVA_BYTE, i) & 0xFF] * scale(i);
        };
    }

    private float scale(long i) {
        return scales.get(FLOAT, i / block * Float.BYTES);
    }
}
