package dev.muonium.quant;

import dev.muonium.device.CudaTest;
import dev.muonium.device.Device;

/** Quantized tensors on a GPU: codes and scales are those of the CPU, bit for bit. */
@CudaTest
final class CudaQuantizedTensorTest extends QuantizedTensorContract {
    @Override
    protected Device openDevice() {
        return Device.cuda();
    }
}
