package dev.muonium.nano;

import dev.muonium.memory.ElementType;

/**
 * How a {@link Gpt} holds what it computes.
 *
 * @param precision element types of weights, gradients and activations
 * @param checkpointedBlocks as in {@link Techniques}
 * @param fp8Activations as in {@link Techniques}
 * @param fp8Gradients as in {@link Techniques}
 * @param transientGradients whether the gradients of a block's matrices exist only from the block's backward until a
 *     {@link GradientHook} has seen them; all blocks then take turns in the memory of one
 */
public record GptOptions(
        Precision precision,
        int checkpointedBlocks,
        boolean fp8Activations,
        boolean fp8Gradients,
        boolean transientGradients) {
    /** All that is computed stays in memory, in one precision. */
    public static GptOptions of(Precision precision) {
        return new GptOptions(precision, 0, false, false, false);
    }

    /** What a preset asks for. */
    static GptOptions of(Precision precision, Techniques techniques) {
        return new GptOptions(
                precision,
                techniques.checkpointedBlocks(),
                techniques.fp8Activations(),
                techniques.fp8Gradients(),
                techniques.useGalore());
    }

    /**
     * Whether linear layers are multiplied in FP8 by a device that can: in the place of BF16 products of whole batches. A model whose precision is FP32
     * is multiplied in FP32.
     */
    boolean multipliesInFp8(Grain grain) {
        return grain == Grain.WHOLE && precision.compute() == ElementType.BF16 && (fp8Activations || fp8Gradients);
    }
}
