package dev.muonium.activations;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.plan.PlannedDevice;
import org.junit.jupiter.api.Tag;

/** On a CPU. */
@Tag("tier")
class RecomputationTest extends RecomputationContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    @Override
    protected long bytes(long asked) {
        long alignment = new PlannedDevice("cpu", false, 1, ElementType.F32).alignment();
        return (asked + alignment - 1) / alignment * alignment;
    }
}
