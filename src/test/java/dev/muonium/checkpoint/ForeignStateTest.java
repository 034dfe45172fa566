package dev.muonium.checkpoint;

import dev.muonium.device.Device;

/** On the CPU. */
class ForeignStateTest extends ForeignStateContract {
    @Override
    Device openDevice() {
        return Device.cpu(2);
    }
}
