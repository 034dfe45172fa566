package dev.muonium.djl;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copies between an array of any strides and its elements one behind the other. Plain loops: such arrays are rare. */
final class StridedCopy {
    private StridedCopy() {}

    /** {@code dense ← array} */
    static void gather(TorchArray array, MemorySegment dense) {
        MemorySegment strided = array.hostMemory();
        long count = array.shape().elements();
        for (long i = 0; i < count; i++) {
            dense.setAtIndex(ValueLayout.JAVA_FLOAT, i, strided.getAtIndex(ValueLayout.JAVA_FLOAT, array.offset(i)));
        }
    }

    /** {@code array ← dense} */
    static void scatter(MemorySegment dense, TorchArray array) {
        MemorySegment strided = array.hostMemory();
        long count = array.shape().elements();
        for (long i = 0; i < count; i++) {
            strided.setAtIndex(ValueLayout.JAVA_FLOAT, array.offset(i), dense.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        }
    }

    /** {@code array ← 0}; what lies between its elements stays. */
    static void zero(TorchArray array) {
        MemorySegment strided = array.hostMemory();
        long count = array.shape().elements();
        for (long i = 0; i < count; i++) {
            strided.setAtIndex(ValueLayout.JAVA_FLOAT, array.offset(i), 0);
        }
    }
}
