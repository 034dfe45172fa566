package dev.muonium.device;

@CudaTest
final class CudaMatmulTest extends MatmulContract {
    @Override
    Device open() {
        return Device.cuda();
    }
}
