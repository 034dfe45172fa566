package dev.muonium.cli;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** Which device a command runs on. */
final class DeviceOptions {
    /** The devices that can be asked for. */
    enum Kind {
        CPU,
        CUDA
    }

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda",
            defaultValue = "cpu",
            description = "Device to run on (default: cpu).")
    private Kind kind = Kind.CPU;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads to compute with on the CPU (default: one per processor). They change no result.")
    private int threads = Runtime.getRuntime().availableProcessors();

    /**
     * Opens the device.
     *
     * @throws UserMistake if the number of threads, or the system property that forces a tier, is out of range
     * @throws dev.muonium.DeviceUnavailableException if it cannot be used here
     */
    Device open() {
        if (kind == Kind.CUDA) {
            return Device.cuda();
        }
        try {
            return CpuDevice.open(threads);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }

    /** How they are passed on to a child process. */
    List<String> toArguments() {
        return List.of("--device", kind.name().toLowerCase(Locale.ROOT), "--threads", Integer.toString(threads));
    }
}
