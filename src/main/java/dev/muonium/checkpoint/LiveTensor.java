package dev.muonium.checkpoint;

import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.Segments;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A tensor that belongs into a checkpoint, where it lies while it is in use; nothing is copied to describe it.
 *
 * @param name its key in the file
 * @param type the type of its elements
 * @param shape the extents, outermost first; empty for a scalar
 * @param data where it begins: memory of the host, or a GPU's, whose segments have the length zero
 */
public record LiveTensor(String name, StoredType type, List<Long> shape, MemorySegment data) {
    /** Copies the list. */
    public LiveTensor {
        shape = List.copyOf(shape);
    }

    /** Bytes of its elements. */
    public long byteSize() {
        return SafetensorsHeader.byteSize(shape, type);
    }

    boolean isOnHost() {
        return !Segments.isDevice(data);
    }

    /** Over the memory that it lies in, which is the host's. */
    StoredTensor inPlace() {
        return new StoredTensor(name, type, shape, data.asSlice(0, byteSize()));
    }

    /** Over a copy. */
    StoredTensor copiedTo(MemorySegment target, DeviceMemory memory) {
        if (isOnHost()) {
            MemorySegment.copy(data, 0, target, 0, byteSize());
        } else {
            memory.copyOut(data, 0, target, 0, byteSize());
        }
        return new StoredTensor(name, type, shape, target.asSlice(0, byteSize()));
    }
}
