package dev.muonium.optim;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Tag;

/** The trajectories on a CPU, by tasks. */
@Tag("tier")
class GoldenTrajectoryTest extends GoldenTrajectoryContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }
}
