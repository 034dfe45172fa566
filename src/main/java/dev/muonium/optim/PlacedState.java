package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Where kernels find the arrays of state of a parameter: for each the address of element 0 and that of its first scale (null without scales), which need not
 * be memory where only a later part of the array is there.
 */
record PlacedState(List<MemorySegment> codes, List<MemorySegment> scales) {
    /** The state where the device keeps it. */
    static PlacedState resident(Slot slot) {
        List<MemorySegment> codes = new ArrayList<>();
        List<MemorySegment> scales = new ArrayList<>();
        for (Slot.NamedState named : slot.state()) {
            MemorySegment own = named.tensor().scales();
            codes.add(named.tensor().codes());
            scales.add(own == null ? MemorySegment.NULL : own);
        }
        return new PlacedState(codes, scales);
    }

    /** A part of the state in a place of a ring. */
    static PlacedState in(StateRing ring, int load, StateLoads.Part part, Slot slot) {
        StateLoads.Arrays arrays = StateLoads.Arrays.of(slot);
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
