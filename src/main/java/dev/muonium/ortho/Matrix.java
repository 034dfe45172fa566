package dev.muonium.ortho;

import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** A dense row-major matrix in the workspace of an iteration. */
record Matrix(MemorySegment segment, ElementType type, long rows, long cols) {
    /** The memory from an element to the end: kernels take a base and a leading dimension, no offset. */
    MemorySegment from(long element) {
        return segment.asSlice(element * type.byteSize());
    }
}
