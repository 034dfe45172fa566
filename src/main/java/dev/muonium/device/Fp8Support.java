package dev.muonium.device;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Whether a device multiplies in FP8, and how.
 *
 * @param scaling the finest scales that its products take; null where there are no such products
 * @param sentence the same in words, for reports: for example {@code FP8 products with a scale for each 128 values}
 */
public record Fp8Support(@Nullable Fp8Scaling scaling, String sentence) {
    /** {@code off} keeps products in BF16 on a GPU that has FP8; {@code auto}, or nothing, takes FP8. */
    public static final String PROPERTY = "muonium.fp8.products";

    private static final int ADA = 89;
    private static final int HOPPER = 90;

    /** Whether it does. */
    public boolean available() {
        return scaling != null;
    }

    /** What a GPU offers in this process, as its compute capability and the system property {@value #PROPERTY} say. */
    public static Fp8Support of(GpuInfo gpu) {
        return of(gpu, System::getProperty);
    }

    static Fp8Support of(GpuInfo gpu, Function<String, @Nullable String> properties) {
        String asked = properties.apply(PROPERTY);
        if ("off".equals(asked)) {
            return new Fp8Support(null, "BF16 products instead of FP8: " + PROPERTY + " is off");
        }
        if (asked != null && !asked.isEmpty() && !asked.equals("auto")) {
            throw new IllegalArgumentException(PROPERTY + " is '" + asked + "'; it must be auto or off");
        }
        int capability = 10 * gpu.major() + gpu.minor();
        if (capability < ADA) {
            return new Fp8Support(
                    null,
                    "BF16 products instead of FP8: they need compute capability 8.9 (Ada) or newer, and this GPU has "
                            + gpu.major() + "." + gpu.minor());
        }
        // cuBLAS documentation, "Narrow Precision Data Types Usage", table of scaling modes: blocks of 128 with FP32
        // scales are of
        // 9.0 alone; those of 32 that came after it have scales that are powers of two, another format than ours.
        return capability == HOPPER
                ? new Fp8Support(Fp8Scaling.BLOCKS, "FP8 products with a scale for each 128 values")
                : new Fp8Support(Fp8Scaling.TENSOR, "FP8 products with a scale for each matrix");
    }
}
