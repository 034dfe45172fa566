package dev.muonium.device;

@CudaTest
final class CudaDeviceContractTest extends DeviceContract {
    @Override
    Device open() {
        return Device.cuda();
    }
}
