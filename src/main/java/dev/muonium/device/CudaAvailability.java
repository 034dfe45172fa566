package dev.muonium.device;

import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Whether an NVIDIA GPU can be used, and if not, why, as a value.
 *
 * @param libraries the driver, the CUDA libraries and Muonium's backend, each as it was found or not
 * @param gpus the GPUs that the driver shows; empty where they could not be asked for
 * @param problem why there is no CUDA device, with the remedy; null if there is one
 */
public record CudaAvailability(
        List<LibraryFinding> libraries,
        List<GpuInfo> gpus,
        @Nullable String problem) {
    /** Copies the lists. */
    public CudaAvailability {
        libraries = List.copyOf(libraries);
        gpus = List.copyOf(gpus);
    }

    /** What the libraries alone say. The first that is missing is the problem: the others may be a consequence. */
    static CudaAvailability of(List<LibraryFinding> libraries) {
        return new CudaAvailability(
                libraries,
                List.of(),
                libraries.stream()
                        .filter(library -> !library.found())
                        .findFirst()
                        .map(LibraryFinding::toString)
                        .orElse(null));
    }

    /** Whether everything is there to open a CUDA device. */
    public boolean available() {
        return problem == null;
    }

    /** Why there is no CUDA device, in short; empty if there is one. */
    public String reason() {
        return problem == null ? "" : problem;
    }

    /** Why there is no CUDA device, with everything that was found and not found. */
    public String explanation() {
        return "the CUDA device is not available: " + reason() + " (or use Device.cpu()). Looked for: "
                + libraries.stream().map(LibraryFinding::toString).collect(Collectors.joining("; "));
    }
}
