package dev.muonium.cli;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which device a command runs on. */
final class DeviceOptions {
    /**
     * A device as it is asked for.
     *
     * @param cuda whether it is a GPU, else the CPU
     * @param ordinal the GPU's number among those of the machine
     */
    record Choice(boolean cuda, int ordinal) {
        /** As {@code --device} names it. */
        @Override
        public String toString() {
            return cuda ? "cuda:" + ordinal : "cpu";
        }
    }

    /** Reads {@code cpu}, {@code cuda} and {@code cuda:N}. */
    static final class Reader implements ITypeConverter<Choice> {
        private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

        @Override
        public Choice convert(String value) {
            String name = value.toLowerCase(Locale.ROOT);
            if (name.equals("cpu")) {
                return new Choice(false, 0);
            }
            Matcher cuda = CUDA.matcher(name);
            if (!cuda.matches()) {
                throw new TypeConversionException(
                        "'" + value + "' is no device; say cpu, cuda, or cuda:N for the GPU of that number");
            }
            return new Choice(true, cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1)));
        }
    }

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda|cuda:N",
            defaultValue = "cpu",
            converter = Reader.class,
            description = "Device to run on: the CPU (default), the first GPU, or the GPU of that number.")
    private Choice choice = new Choice(false, 0);

    @Option(
            names = "--threads",
            paramLabel = "N",
            description =
                    "Threads of the CPU device to compute with (default: one per processor). They change no result.")
    private int threads = Runtime.getRuntime().availableProcessors();

    /**
     * Opens the device.
     *
     * @throws UserMistake if the number of threads or of the GPU, or the system property that forces a tier, is out of range
     * @throws DeviceUnavailableException if it cannot be used here
     */
    Device open() {
        try {
            return choice.cuda() ? Device.cuda(choice.ordinal()) : CpuDevice.open(threads);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }

    /** How they are passed on to a child process. */
    List<String> toArguments() {
        return List.of("--device", choice.toString(), "--threads", Integer.toString(threads));
    }
}
