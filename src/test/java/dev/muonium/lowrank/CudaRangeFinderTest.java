package dev.muonium.lowrank;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** On a GPU, by whole products. */
@CudaTest
class CudaRangeFinderTest extends RangeFinderContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
