package dev.muonium.device;

@CudaTest
final class CudaKernelsTest extends KernelsContract {
    @Override
    Device open() {
        return Device.cuda();
    }
}
