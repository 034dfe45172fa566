package dev.muonium.ortho;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** Polar factors on a GPU. */
@CudaTest
class CudaPolarFactorTest extends PolarFactorContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
