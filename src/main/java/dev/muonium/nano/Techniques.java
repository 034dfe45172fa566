package dev.muonium.nano;

import static dev.muonium.nano.Ranges.requireRange;

/**
 * What makes training fit beyond 8-bit state; each works alone and together with the others.
 *
 * @param useGalore whether the matrices of the blocks are trained by low-rank gradients (GaLore 2)
 * @param galoreRank rows of the projected gradients; at most the smaller side of every matrix of the blocks
 * @param galoreRefreshInterval steps after which a projection is looked at and, where the gradient has turned, made anew
 * @param galoreScale what projected updates are multiplied by; presets take 0.25, as GaLore's paper does, for AdamW, and 1 for Muon, whose update has the
 *     same size at any rank (after 250 steps of {@code tiny} at rank 48: 1.734 nats per byte held out with 1, 1.931 with 0.25)
 * @param offloadOptimizer where the optimizer's state lies between steps
 * @param checkpointedBlocks of how many blocks each backward recomputes the activations from the input of the first: 0 for none, 1
 *     for every block alone, k for k blocks together
 * @param fp8Activations whether activations wait for backward in E4M3; a GPU with FP8 products then multiplies activations and weights of linear
 *     layers in it, where a model computes in BF16
 * @param fp8Gradients whether gradients go from layer to layer in E5M2; such a GPU then multiplies them in it as well
 */
public record Techniques(
        boolean useGalore,
        int galoreRank,
        int galoreRefreshInterval,
        double galoreScale,
        Offload offloadOptimizer,
        int checkpointedBlocks,
        boolean fp8Activations,
        boolean fp8Gradients) {
    /** None of them. */
    public static final Techniques NONE = new Techniques(false, 1, 200, 0.25, Offload.NONE, 0, false, false);

    /** Checks every number; the message names the key, the value and what is allowed. */
    public Techniques {
        requireRange("galore_rank", galoreRank, 1, 1 << 17);
        requireRange("galore_refresh_interval", galoreRefreshInterval, 1, 100_000_000);
        requireRange("galore_scale", galoreScale, 0, 1e6);
        requireRange("activation_checkpointing", checkpointedBlocks, 0, 1000);
    }
}
