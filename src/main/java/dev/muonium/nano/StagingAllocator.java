package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Ledger;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;

/** Memory of the host beside a device: what Java fills and the device copies from. */
record StagingAllocator(Device device) implements Allocator {
    @Override
    public Tensor allocate(Purpose purpose, String name, ElementType type, Shape shape) {
        return device.memory().allocateStaging(purpose, name, type, shape);
    }

    @Override
    public Ledger ledger() {
        return device.ledger();
    }
}
