package dev.muonium.quant;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Tag;

/** Quantized tensors on a CPU, in every tier. */
@Tag("tier")
final class QuantizedTensorTest extends QuantizedTensorContract {
    @Override
    protected Device openDevice() {
        return Device.cpu(1);
    }
}
