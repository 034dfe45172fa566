package dev.muonium.device;

import dev.muonium.device.DynamicLinker.CannotOpen;
import java.util.List;

/**
 * Looks for what a CUDA device would need, and says what is missing.
 *
 * <p>The driver's {@code libcuda.so.1} is looked for first, because without it the others are of no use; then the runtime and
 * cuBLAS, all of CUDA 13, by SONAME.
 */
public final class CudaProbe {
    private static final String DRIVER = "libcuda.so.1";
    private static final List<String> LIBRARIES = List.of("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13");

    private CudaProbe() {}

    /** Why there is no CUDA device, in one sentence with the remedy; opens the libraries that it finds and never throws. */
    public static String whyNot() {
        try {
            DynamicLinker.open(DRIVER);
        } catch (CannotOpen e) {
            return "the NVIDIA driver is missing (" + e.getMessage() + "); it needs driver 580 or newer";
        } catch (IllegalCallerException e) {
            return NativeLibraries.nativeAccessDenied();
        }
        for (String library : LIBRARIES) {
            try {
                DynamicLinker.open(library);
            } catch (CannotOpen e) {
                return "the NVIDIA driver is there, but a library of CUDA 13 is missing (" + e.getMessage()
                        + "); install the CUDA 13 runtime and cuBLAS, or add their folder to LD_LIBRARY_PATH";
            }
        }
        return "the NVIDIA driver and the libraries of CUDA 13 are there, but this version of Muonium has no CUDA"
                + " backend";
    }
}
