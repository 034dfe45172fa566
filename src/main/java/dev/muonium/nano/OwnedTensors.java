package dev.muonium.nano;

import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/** The tensors of one owner, which are closed together, the last one first. */
final class OwnedTensors implements AutoCloseable {
    private final Allocator allocator;
    private final Deque<Tensor> tensors = new ArrayDeque<>();

    OwnedTensors(Allocator allocator) {
        this.allocator = allocator;
    }

    Tensor tensor(Purpose purpose, String name, ElementType type, Shape shape) {
        Tensor tensor = allocator.allocate(purpose, name, type, shape);
        tensors.push(tensor);
        return tensor;
    }

    /** FP32 activations of {@code rows × cols}. */
    MemorySegment activations(String name, long rows, long cols) {
        return tensor(Purpose.ACTIVATIONS, name, ElementType.F32, Shape.of(rows, cols))
                .segment();
    }

    @Override
    public void close() {
        while (!tensors.isEmpty()) {
            tensors.pop().close();
        }
    }
}
