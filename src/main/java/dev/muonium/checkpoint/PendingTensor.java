package dev.muonium.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Supplier;

/**
 * A tensor that is to be written, whose data is asked for when its turn comes and not used after the next one's was asked for: what is decoded for a file need
 * not be in memory all at once.
 */
record PendingTensor(String name, StoredType type, List<Long> shape, Supplier<MemorySegment> data) {
    PendingTensor {
        shape = List.copyOf(shape);
    }

    /** One that is there already. */
    static PendingTensor of(StoredTensor tensor) {
        return new PendingTensor(tensor.name(), tensor.type(), tensor.shape(), tensor::data);
    }

    long byteSize() {
        return SafetensorsHeader.byteSize(shape, type);
    }
}
