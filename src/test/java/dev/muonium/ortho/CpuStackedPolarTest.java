package dev.muonium.ortho;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Tag;

/** Stacks on a CPU in the way of a GPU. */
@Tag("tier")
class CpuStackedPolarTest extends StackedPolarContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }
}
