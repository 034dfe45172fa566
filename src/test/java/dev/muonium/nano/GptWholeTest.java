package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Test;

/** The GPT as it runs on a GPU, one task at a time and with attention as one kernel, on the CPU. */
final class GptWholeTest extends GptContract {
    @Override
    Device open() {
        return Device.cpu(1);
    }

    @Test
    void theCpuRefusesBf16() {
        assertEquals(
                "precision is bf16, and " + device.describe()
                        + " has the kernels of a GPT in FP32 only; set precision to \"f32\" or \"auto\" and gradients"
                        + " as well, or train on a CUDA device",
                assertThrows(IllegalArgumentException.class, () -> new Gpt(device, shape(), 1, Precision.MIXED, 1))
                        .getMessage());
    }
}
