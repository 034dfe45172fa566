package dev.muonium.activations;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;
import dev.muonium.plan.PlannedDevice;

/** On a GPU. */
@CudaTest
class CudaRecomputationTest extends RecomputationContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }

    @Override
    protected long bytes(long asked) {
        long alignment = PlannedDevice.gpu().alignment();
        return (asked + alignment - 1) / alignment * alignment;
    }
}
