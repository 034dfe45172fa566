package dev.muonium.device;

/** Which elements of the operands of an FP8 product share a scale. */
public enum Fp8Scaling {
    /** All elements of a matrix: GPUs of compute capability 8.9 and newer. */
    TENSOR,
    /** 128 elements along the sum, or 128 × 128: GPUs of compute capability 9.0 (Hopper) alone. */
    BLOCKS
}
