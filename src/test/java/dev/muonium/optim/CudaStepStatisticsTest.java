package dev.muonium.optim;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** On a GPU, whose weights and state are copied to the host. */
@CudaTest
class CudaStepStatisticsTest extends StepStatisticsContract {
    @Override
    Device openDevice() {
        return Device.cuda();
    }
}
