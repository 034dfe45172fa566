package dev.muonium.nano;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.device.Device;
import org.junit.jupiter.api.Assumptions;

/** The CPU device that a GPU is compared with. */
final class CpuBeside {
    private CpuBeside() {}

    /** Opens it, or skips the test: a machine with a GPU may lack what the CPU device multiplies with. */
    static Device open(int threads) {
        try {
            return Device.cpu(threads);
        } catch (DeviceUnavailableException e) {
            return Assumptions.abort("no CPU device to compare with: " + e.getMessage());
        }
    }
}
