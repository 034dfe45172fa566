package dev.muonium.device;

import dev.muonium.memory.BlockFormat;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Where the codes and scales of an operand lie, and what is in them at present; products take turns to use one. Belongs to whoever owns the
 * segments. Not thread-safe.
 */
public final class Fp8Operand {
    private final MemorySegment codes;
    private final MemorySegment scales;
    private @Nullable Content content;

    /**
     * What is in an operand.
     *
     * @param address of the matrix that was coded; its elements may have changed since
     * @param scaling of the ABI
     */
    record Content(
            long address,
            BlockFormat format,
            int scaling,
            boolean transposed,
            long rows,
            long cols,
            long paddedRows,
            long paddedCols) {}

    /**
     * An operand without content.
     *
     * @param codes U8, in a device's memory, at a multiple of 256, as tensors are
     * @param scales F32, at a multiple of 256
     */
    public Fp8Operand(MemorySegment codes, MemorySegment scales) {
        this.codes = codes;
        this.scales = scales;
    }

    MemorySegment codes() {
        return codes;
    }

    MemorySegment scales() {
        return scales;
    }

    @Nullable
    Content content() {
        return content;
    }

    void content(@Nullable Content newContent) {
        content = newContent;
    }
}
