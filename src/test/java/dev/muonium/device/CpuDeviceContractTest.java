package dev.muonium.device;

import org.junit.jupiter.api.Tag;

@Tag("tier")
final class CpuDeviceContractTest extends DeviceContract {
    @Override
    Device open() {
        return Device.cpu(2);
    }
}
