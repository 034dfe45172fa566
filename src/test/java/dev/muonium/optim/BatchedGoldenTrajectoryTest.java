package dev.muonium.optim;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Tag;

/** The trajectories on a CPU in the way of a GPU, by launches over many arrays. */
@Tag("tier")
class BatchedGoldenTrajectoryTest extends GoldenTrajectoryContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(2);
    }

    @Override
    protected Optimizer.Builder builder(Device on) {
        return Optimizer.builder(on).batched();
    }
}
