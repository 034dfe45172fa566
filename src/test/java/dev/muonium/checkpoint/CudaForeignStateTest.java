package dev.muonium.checkpoint;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** On a GPU, whose state is read and written by copies. */
@CudaTest
class CudaForeignStateTest extends ForeignStateContract {
    @Override
    Device openDevice() {
        return Device.cuda();
    }
}
