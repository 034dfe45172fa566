package dev.muonium.quant;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A flat array of values in a block format: codes and, for the 8-bit formats, one FP32 scale per block. Owns both; the ledger
 * counts {@link BlockFormat#bytes}. A new one holds zeros.
 *
 * <p>Not thread-safe, except that disjoint ranges of whole blocks may be worked on at the same time.
 */
public final class QuantizedTensor implements AutoCloseable {
    private final Device device;
    private final BlockFormat format;
    private final int block;
    private final long elements;
    private final Tensor codes;
    private final @Nullable Tensor scales;

    private QuantizedTensor(
            Device device, BlockFormat format, int block, long elements, Tensor codes, @Nullable Tensor scales) {
        this.device = device;
        this.format = format;
        this.block = block;
        this.elements = elements;
        this.codes = codes;
        this.scales = scales;
    }

    /**
     * Allocates an array of zeros.
     *
     * @param name for messages and the ledger's reports
     * @param block elements per scale, a power of two from 64 to 2048
     */
    public static QuantizedTensor allocate(
            Device device, Purpose purpose, String name, BlockFormat format, int block, long elements) {
        return allocate(device, device, purpose, name, format, block, elements);
    }

    /**
     * The same in memory of another allocator.
     *
     * @param memory whose memory the device's kernels read and write, for example a {@link dev.muonium.device.MappedFile} for a CPU
     */
    public static QuantizedTensor allocate(
            Device device,
            Allocator memory,
            Purpose purpose,
            String name,
            BlockFormat format,
            int block,
            long elements) {
        BlockFormat.requireBlock(block);
        Tensor codes = memory.allocate(purpose, name, format.codeType(), Shape.of(elements));
        if (!format.isScaled()) {
            return new QuantizedTensor(device, format, block, elements, codes, null);
        }
        try {
            Tensor scales = memory.allocate(
                    purpose, name + ".scales", ElementType.F32, Shape.of(format.scales(elements, block)));
            // Zero bytes are zeros in every format: a scale of 0 decodes each code of its block to 0.
            return new QuantizedTensor(device, format, block, elements, codes, scales);
        } catch (RuntimeException e) {
            codes.close();
            throw e;
        }
    }

    /** The format. */
    public BlockFormat format() {
        return format;
    }

    /** Elements per scale. */
    public int block() {
        return block;
    }

    /** The number of values. */
    public long elements() {
        return elements;
    }

    /** The codes, or the values themselves for {@link BlockFormat#F32}. */
    public MemorySegment codes() {
        return codes.segment();
    }

    /** The scales, or null for {@link BlockFormat#F32}. */
    public @Nullable MemorySegment scales() {
        return scales == null ? null : scales.segment();
    }

    /** Bytes of codes and scales together. */
    public long byteSize() {
        return codes.byteSize() + (scales == null ? 0 : scales.byteSize());
    }

    /**
     * Encodes {@code x}, on the calling thread.
     *
     * @param x F32 or BF16, as many elements as this has
     * @throws IllegalArgumentException if it has another number of elements or another type; nothing is then changed
     */
    public void quantizeFrom(Tensor x) {
        requireSameSize(x);
        if (format.isScaled()) {
            device.kernels().quantize(format, block, x.segment(), x.type(), codes(), scales(), 0, elements);
        } else {
            copy(x.segment(), x.type(), codes(), ElementType.F32);
        }
    }

    /**
     * Decodes into {@code out}, on the calling thread; to nearest even where it is BF16.
     *
     * @param out F32 or BF16, as many elements as this has
     * @throws IllegalArgumentException if it has another number of elements or another type; nothing is then changed
     */
    public void dequantizeTo(Tensor out) {
        requireSameSize(out);
        if (format.isScaled()) {
            device.kernels().dequantize(format, block, codes(), scales(), out.segment(), out.type(), 0, elements);
        } else {
            copy(codes(), ElementType.F32, out.segment(), out.type());
        }
    }

    private void copy(MemorySegment from, ElementType fromType, MemorySegment to, ElementType toType) {
        device.kernels().scale(1, from, fromType, elements, to, toType, elements, elements, 0, 1);
    }

    private void requireSameSize(Tensor tensor) {
        if (tensor.elements() != elements) {
            throw new IllegalArgumentException("tensor '" + tensor.name() + "' has " + tensor.elements()
                    + " elements, but '" + codes.name() + "' has " + elements);
        }
    }

    /** The values, decoded; for tests and small arrays. */
    public float[] toFloatArray() {
        if (!format.isScaled()) {
            return codes.toFloatArray();
        }
        try (Tensor out = device.allocate(Purpose.WORKSPACE, "decoded", ElementType.F32, Shape.of(elements))) {
            dequantizeTo(out);
            return out.toFloatArray();
        }
    }

    /** Frees both. A second call does nothing. */
    @Override
    public void close() {
        codes.close();
        if (scales != null) {
            scales.close();
        }
    }
}
