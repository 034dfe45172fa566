package dev.muonium.optim;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** Gradient accumulation on a GPU. */
@CudaTest
class CudaGradientAccumulatorTest extends GradientAccumulatorContract {
    @Override
    Device openDevice() {
        return Device.cuda();
    }
}
