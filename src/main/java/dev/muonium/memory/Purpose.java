package dev.muonium.memory;

/** What a piece of memory is for: the columns of the {@link Ledger}. */
public enum Purpose {
    /** Parameters, in the precision that the model computes with. */
    WEIGHTS,
    /** FP32 copies of weights that are stored in bf16. */
    MASTER_WEIGHTS,
    /** Gradients of parameters, accumulated or not. */
    GRADIENTS,
    /** What an optimizer keeps from step to step: codes, scales, FP32 moments. */
    OPTIMIZER_STATE,
    /** Optimizer state that lies in a file, outside the device's memory; the ledger's total and peak do not count it. */
    OFFLOADED_STATE,
    /** What an optimizer needs only during a step. */
    OPTIMIZER_WORKSPACE,
    /** What forward keeps for backward, and gradients with respect to activations. */
    ACTIVATIONS,
    /** Scratch of matrix products and kernels. */
    WORKSPACE,
    /** Training text, tokens, batches. */
    DATA,
    /** Copies made to save a checkpoint. */
    CHECKPOINT
}
