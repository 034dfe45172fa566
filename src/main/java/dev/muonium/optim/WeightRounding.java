package dev.muonium.optim;

/** How updated BF16 weights are rounded. FP32 weights are not concerned. */
public enum WeightRounding {
    /**
     * Up or down with probabilities that make the expectation right, so that updates smaller than a BF16 step are not lost. The bits
     * are a function of (seed, step, parameter's name, element): the same from run to run.
     */
    STOCHASTIC,
    /** To nearest, ties to even. Small updates can be lost; meant for comparisons. */
    NEAREST,
    /** An FP32 copy of the weights is kept and updated; the BF16 weights are its rounding to nearest even. 4 bytes per weight. */
    MASTER_WEIGHTS
}
