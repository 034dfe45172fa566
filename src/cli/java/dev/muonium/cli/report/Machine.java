package dev.muonium.cli.report;

/**
 * Where a run took place.
 *
 * @param device it ran on, for example {@code cpu (avx512, 2 threads)}
 * @param cpu the processor's own name, or the GPU's
 * @param tier the instruction-set tier of the kernels, or the GPU's architecture
 * @param bf16 whether the processor multiplies bf16 natively
 * @param threads workers of the device
 * @param java the JVM's version
 */
public record Machine(String device, String cpu, String tier, boolean bf16, int threads, String java) {
    /** In one line, but for Java. */
    String describe() {
        return cpu + ", " + tier + (bf16 ? " with bf16" : "") + ", " + threads
                + (threads == 1 ? " thread" : " threads");
    }
}
