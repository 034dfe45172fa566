package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;

/** The CPU. */
public abstract non-sealed class CpuDevice extends Device {
    static CpuDevice open(int threads) {
        throw new DeviceUnavailableException("the CPU device with " + threads + " threads is not built yet");
    }
}
