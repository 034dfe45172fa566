package dev.muonium.nano;

import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * What all blocks take turns to use; {@code n} rows.
 *
 * @param normalized rows behind the last norm, {@code n × dModel}
 * @param hidden the MLP's activation, or its gradient, {@code n × mlpWidth}
 * @param normalizedGradient {@code n × dModel}
 * @param gradient of the residual stream behind a block, {@code n × dModel}
 * @param middleGradient of the residual stream between attention and MLP, {@code n × dModel}
 * @param oGradient {@code n × heads × headDim}
 * @param oDots {@code Σ o·dO}, FP32, {@code sequences × heads × context}
 * @param qGradient {@code n × heads × headDim}
 * @param kGradient {@code n × kvHeads × headDim}
 * @param vGradient {@code n × kvHeads × headDim}
 */
record SharedActivations(
        MemorySegment normalized,
        MemorySegment hidden,
        MemorySegment normalizedGradient,
        MemorySegment gradient,
        MemorySegment middleGradient,
        MemorySegment oGradient,
        MemorySegment oDots,
        MemorySegment qGradient,
        MemorySegment kGradient,
        MemorySegment vGradient) {

    static SharedActivations allocate(OwnedTensors memory, GptConfig config, ElementType type, long n) {
        return new SharedActivations(
                memory.activations("normalized", type, n, config.dModel()),
                memory.activations("mlp activation", type, n, config.mlpWidth()),
                memory.activations("gradient of normalized", type, n, config.dModel()),
                memory.activations("gradient of the stream", type, n, config.dModel()),
                memory.activations("gradient of the stream's middle", type, n, config.dModel()),
                memory.activations("gradient of o", type, n, config.queryWidth()),
                memory.activations("dots of o and its gradient", ElementType.F32, n, config.heads()),
                memory.activations("gradient of q", type, n, config.queryWidth()),
                memory.activations("gradient of k", type, n, config.keyWidth()),
                memory.activations("gradient of v", type, n, config.keyWidth()));
    }
}
