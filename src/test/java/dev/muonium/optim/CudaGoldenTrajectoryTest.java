package dev.muonium.optim;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** The trajectories on a GPU. */
@CudaTest
class CudaGoldenTrajectoryTest extends GoldenTrajectoryContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
