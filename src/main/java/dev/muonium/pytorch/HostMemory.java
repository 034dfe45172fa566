package dev.muonium.pytorch;

import dev.muonium.device.CpuDevice;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Tensors on the CPU.
 *
 * @param owned whether closing this closes the device
 */
record HostMemory(CpuDevice device, boolean owned) implements TensorMemory {
    @Override
    public boolean holds(org.bytedeco.pytorch.Tensor tensor) {
        return tensor.is_cpu();
    }

    @Override
    public Tensor inPlace(String name, ElementType type, Shape shape, long address) {
        MemorySegment segment = MemorySegment.ofAddress(address).reinterpret(shape.elements() * type.byteSize());
        return Tensor.borrow(name, type, shape, segment);
    }

    /** Nothing to wait for: on the CPU PyTorch is done when its calls return. */
    @Override
    public void followPyTorch() {}

    @Override
    public void close() {
        if (owned) {
            device.close();
        }
    }
}
