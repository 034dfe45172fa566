package dev.muonium.optim;

/** How a group's optimizer state is stored. The arithmetic is FP32 in every case; only what is kept between steps differs. */
public enum StateFormat {
    /** FP32. */
    FP32,
    /**
     * 8 bits per value and one FP32 scale per block, in the format that suits the optimizer: linear for Muon's momentum; dynamic maps
     * for AdamW (signed for m, unsigned for v), because a linear v is unstable in the denominator.
     */
    INT8,
    /** 8 bits per value by the dynamic maps, and one FP32 scale per block. For AdamW the same as {@link #INT8}. */
    INT8_DYNAMIC
}
