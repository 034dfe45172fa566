package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Where kernels find the arrays of state of a range of a parameter: for each the address of its element 0 and that of its first scale (null without scales), which need not
 * be memory where only a later part of the array is there.
 */
record PlacedState(List<MemorySegment> codes, List<MemorySegment> scales) {
    /** The state where the device keeps it. */
    static PlacedState resident(StateSpan span) {
        List<MemorySegment> codes = new ArrayList<>();
        List<MemorySegment> scales = new ArrayList<>();
        for (Slot.NamedState named : span.slot().state()) {
            QuantizedTensor tensor = named.tensor();
            MemorySegment own = tensor.scales();
            codes.add(after(
                    tensor.codes(), span.begin() * tensor.format().codeType().byteSize()));
            scales.add(own == null ? MemorySegment.NULL : after(own, span.begin() / tensor.block() * Float.BYTES));
        }
        return new PlacedState(codes, scales);
    }

    /** A part of the state in a place of a ring. */
    static PlacedState in(StateRing ring, int load, StateLoads.Part part, StateSpan span) {
        StateLoads.Arrays arrays = StateLoads.Arrays.of(span);
        long count = part.end() - part.begin();
        long offset = part.offset();
        List<MemorySegment> codes = new ArrayList<>();
        List<MemorySegment> scales = new ArrayList<>();
        for (BlockFormat format : arrays.formats()) {
            long codeBytes = arrays.codeBytes(format, count);
            codes.add(before(
                    ring.at(load, offset, codeBytes),
                    part.begin() * format.codeType().byteSize()));
            offset += codeBytes;
            long scaleBytes = arrays.scaleBytes(format, count);
            scales.add(
                    format.isScaled()
                            ? before(
                                    ring.at(load, offset, scaleBytes),
                                    format.scales(part.begin(), arrays.block()) * Float.BYTES)
                            : MemorySegment.NULL);
            offset += scaleBytes;
        }
        return new PlacedState(codes, scales);
    }

    private static MemorySegment after(MemorySegment segment, long bytes) {
        return MemorySegment.ofAddress(segment.address() + bytes);
    }

    private static MemorySegment before(MemorySegment segment, long bytes) {
        return MemorySegment.ofAddress(segment.address() - bytes);
    }

    MemorySegment codes(int array) {
        return codes.get(array);
    }

    MemorySegment scales(int array) {
        return scales.get(array);
    }
}
