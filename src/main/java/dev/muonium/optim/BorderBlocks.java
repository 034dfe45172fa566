package dev.muonium.optim;

import dev.muonium.memory.Shape;
import java.util.ArrayList;
import java.util.List;

/**
 * The blocks of a parameter's 8-bit state that reach over a border of its matrices. One scale is for elements of both, so that none of them can update the block while it
 * works on its own: such blocks are updated before all matrices, and what they give of u waits in a few hundred bytes each.
 */
final class BorderBlocks {
    private BorderBlocks() {}

    /** Those of a slot, in the order of memory. */
    static List<StateSpan> of(MuonSlot slot) {
        List<StateSpan> spans = new ArrayList<>();
        for (long first : of(slot.parameter.matrices(), slot.stateUnit())) {
            spans.add(at(slot, first));
        }
        return spans;
    }

    /** The block of a slot's state that an element lies in. */
    static StateSpan at(MuonSlot slot, long element) {
        long unit = slot.stateUnit();
        long first = element / unit * unit;
        return new StateSpan(slot, first, Math.min(first + unit, slot.elements()));
    }

    /** A range of whole blocks. */
    record Inner(long begin, long end) {}

    /**
     * The blocks that lie in a matrix as a whole, between a lead and a tail that do not.
     *
     * @param begin the matrix's first element
     * @param end behind its last
     * @param total elements of the parameter, whose last block may be short
     */
    static Inner inner(long begin, long end, long total, long block) {
        long first = Math.min((begin + block - 1) / block * block, end);
        long last = end == total ? end : end / block * block;
        // Of a matrix that begins and ends within one block all elements are its lead.
        return last >= first ? new Inner(first, last) : new Inner(end, end);
    }

    /** Bytes for u of a block, whatever the precision of the iteration. */
    static long bytes(MuonSlot slot) {
        return bytes(slot.stateUnit());
    }

    private static long bytes(long block) {
        return block * Float.BYTES;
    }

    /** Bytes for u of all blocks of a parameter that reach over a border of its matrices. */
    static long bytes(List<Shape> matrices, Muon group) {
        return group.momentumFormat().isScaled() ? of(matrices, group.block()).size() * bytes(group.block()) : 0;
    }

    /** The first elements of the blocks that reach over a border of consecutive matrices. */
    static List<Long> of(List<Shape> matrices, long block) {
        List<Long> firsts = new ArrayList<>();
        long border = 0;
        for (int i = 0; i + 1 < matrices.size(); i++) {
            border += matrices.get(i).elements();
            long first = border / block * block;
            if (first < border && (firsts.isEmpty() || firsts.getLast() < first)) {
                firsts.add(first);
            }
        }
        return firsts;
    }
}
