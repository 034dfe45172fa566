package dev.muonium.cli.report;

/**
 * Where a run took place.
 *
 * @param cpu the processor's own name
 * @param tier the instruction-set tier of the kernels
 * @param bf16 whether the processor multiplies bf16 natively
 * @param threads workers of the device
 * @param java the JVM's version
 */
public record Machine(String cpu, String tier, boolean bf16, int threads, String java) {}
