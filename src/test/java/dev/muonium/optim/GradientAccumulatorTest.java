package dev.muonium.optim;

import dev.muonium.device.Device;

/** Gradient accumulation on the CPU. */
class GradientAccumulatorTest extends GradientAccumulatorContract {
    @Override
    Device openDevice() {
        return Device.cpu(2);
    }
}
