package dev.muonium.device;

import java.util.List;

/**
 * What a CPU device runs on, for {@code doctor} and reports.
 *
 * @param platform system and processor family, for example {@code linux-x86_64}
 * @param processor the processor's own name; empty where it does not tell
 * @param tier the tier that the kernels use
 * @param bestTier the best tier that the processor and the system can run
 * @param nativeBf16 whether bf16 is multiplied natively: the tier is AVX-512 and the processor has AVX512_BF16
 * @param threads the number of workers
 * @param libraries the native libraries that are loaded
 */
public record DeviceReport(
        String platform,
        String processor,
        CpuTier tier,
        CpuTier bestTier,
        boolean nativeBf16,
        int threads,
        List<LibraryInfo> libraries) {
    /** Copies the list. */
    public DeviceReport {
        libraries = List.copyOf(libraries);
    }
}
