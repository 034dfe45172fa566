package dev.muonium.optim;

import dev.muonium.memory.Allocator;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;

/**
 * Page-locked memory of the host for a GPU's optimizer state, from and to which a {@link HostRing} copies beside the computation.
 *
 * @param memory of the GPU
 * @param ledger of the GPU
 */
record HostState(DeviceMemory memory, Ledger ledger) implements Allocator {
    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        return memory.allocateStaging(Purpose.OFFLOADED_STATE, name, type, shape);
    }
}
