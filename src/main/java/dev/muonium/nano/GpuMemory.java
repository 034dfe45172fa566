package dev.muonium.nano;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import org.jspecify.annotations.Nullable;

/**
 * Watches how much of a GPU's memory is in use, as the driver counts it: with what libraries take for themselves, and with what other
 * processes have. Knows nothing on a CPU.
 */
final class GpuMemory {
    private final @Nullable CudaDevice gpu;
    private final long first;
    private long most;

    /** Begins with what is in use now. */
    GpuMemory(Device device) {
        this.gpu = device instanceof CudaDevice cuda ? cuda : null;
        this.first = gpu == null ? 0 : gpu.usedBytes();
        this.most = first;
    }

    /** Looks once more. Takes some microseconds. */
    void look() {
        if (gpu != null) {
            most = Math.max(most, gpu.usedBytes());
        }
    }

    /** By how many bytes more was in use than at first, at most; -1 on a CPU. */
    long peakGrowth() {
        return gpu == null ? -1 : most - first;
    }

    /** How many bytes of the GPU were in use at most, whoever had them; -1 on a CPU. */
    long peakUse() {
        return gpu == null ? -1 : most;
    }
}
