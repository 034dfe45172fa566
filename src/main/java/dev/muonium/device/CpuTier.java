package dev.muonium.device;

import dev.muonium.bindings.mu.Muonium;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The instruction-set tiers of the CPU kernels, the lowest first. */
public enum CpuTier {
    /** Plain C++, the oracle of the tests. */
    SCALAR,
    /** AVX2 with FMA and F16C. */
    AVX2,
    /** AVX-512 (F, BW, DQ, VL), with AVX512_BF16 where the processor has it. */
    AVX512;

    /** The system property that forces a tier: {@code scalar}, {@code avx2}, {@code avx512} or {@code auto}. */
    public static final String PROPERTY = "muonium.simd";

    /** The {@code mu_tier} of this tier. Not a field: a JVM that refuses native calls must be able to load this class. */
    int code() {
        return switch (this) {
            case SCALAR -> Muonium.MU_TIER_SCALAR();
            case AVX2 -> Muonium.MU_TIER_AVX2();
            case AVX512 -> Muonium.MU_TIER_AVX512();
        };
    }

    static CpuTier ofCode(int code) {
        return Arrays.stream(values())
                .filter(tier -> tier.code() == code)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "the native library knows a tier " + code + ", which this version of Muonium does not"));
    }

    /**
     * The tier that a text names.
     *
     * @return null for {@code auto}, the best that the processor can run
     * @throws IllegalArgumentException if it names none
     */
    static @Nullable CpuTier parse(String text) {
        String name = text.strip().toLowerCase(Locale.ROOT);
        if (name.equals("auto")) {
            return null;
        }
        for (CpuTier tier : values()) {
            if (tier.toString().equals(name)) {
                return tier;
            }
        }
        throw new IllegalArgumentException("the system property " + PROPERTY + " is '" + text + "'; it must be "
                + Arrays.stream(values()).map(CpuTier::toString).collect(Collectors.joining(", ")) + " or auto");
    }

    /** The name that {@link #PROPERTY} takes, for example {@code avx512}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
