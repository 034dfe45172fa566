package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/** The tensors of one owner, which are closed together, the last one first. */
final class OwnedTensors implements Allocator, AutoCloseable {
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

    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        return tensor(purpose, name, type, shape);
    }

    @Override
    public Ledger ledger() {
        return allocator.ledger();
    }

    /** Activations of {@code rows × cols}. */
    MemorySegment activations(String name, ElementType type, long rows, long cols) {
        return tensor(Purpose.ACTIVATIONS, name, type, Shape.of(rows, cols)).segment();
    }

    /** Memory of the host beside a device; see {@link dev.muonium.memory.DeviceMemory#allocateStaging}. */
    MemorySegment staging(Device device, String name, ElementType type, Shape shape) {
        Tensor tensor = device.memory().allocateStaging(Purpose.DATA, name, type, shape);
        tensors.push(tensor);
        return tensor.segment();
    }

    @Override
    public void close() {
        while (!tensors.isEmpty()) {
            tensors.pop().close();
        }
    }
}
