package dev.muonium.device;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Whether an NVIDIA GPU can be used, and if not, why, as a value.
 *
 * @param libraries the driver and the CUDA libraries, each as it was found or not
 */
public record CudaAvailability(List<LibraryFinding> libraries) {
    /** Copies the list. */
    public CudaAvailability {
        libraries = List.copyOf(libraries);
    }

    /** Whether driver, runtime and cuBLAS are there. It takes a CUDA backend of Muonium as well, which this version has not. */
    public boolean librariesFound() {
        return libraries.stream().allMatch(LibraryFinding::found);
    }

    /** Why there is no CUDA device, in short. */
    public String reason() {
        String missing = libraries.stream()
                .filter(library -> !library.found())
                .map(LibraryFinding::name)
                .collect(Collectors.joining(", "));
        return "this version of Muonium computes on the CPU only"
                + (missing.isEmpty() ? "" : " (and this machine has no usable " + missing + ")");
    }

    /** Why there is no CUDA device, with everything that was found and not found. */
    public String explanation() {
        return "the CUDA device is not available: " + reason() + "; use Device.cpu(). Looked for: "
                + libraries.stream().map(LibraryFinding::toString).collect(Collectors.joining("; "));
    }
}
