package dev.muonium.optim;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** Parameters of several matrices on a GPU. */
@CudaTest
class CudaSplitParametersTest extends SplitParametersContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
