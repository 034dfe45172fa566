package dev.muonium.nano;

/** Takes the gradient of a matrix when backward through its block is done, before the next block's backward. */
@FunctionalInterface
public interface GradientHook {
    /**
     * The gradient of a matrix is complete for this micro-batch. Called on the thread that asked for gradients, for each matrix of a
     * block in the order of {@link GptConfig#parameters()}, from the last block to the first; on a GPU its work may still be under
     * way, in the order of the device's stream.
     *
     * @param parameter weights and gradient; with transient gradients the gradient is this micro-batch's alone and valid during the
     *     call only
     */
    void ready(GptParameter parameter);
}
