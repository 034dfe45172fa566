package dev.muonium.ortho;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** Stacks on a GPU. */
@CudaTest
class CudaStackedPolarTest extends StackedPolarContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
