package dev.muonium.ortho;

import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * Dense row-major matrices of one shape in the memory of a device.
 *
 * @param stride elements from one to the next
 */
record Stack(MemorySegment segment, ElementType type, long rows, long cols, long stride) {
    long elements() {
        return rows * cols;
    }
}
