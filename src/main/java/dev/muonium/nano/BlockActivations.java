package dev.muonium.nano;

import dev.muonium.memory.ElementType;
import dev.muonium.nano.GptConfig.Mlp;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * What forward through a block keeps for backward; {@code n} rows. What can be had again by one cheap pass (normalized rows, the MLP's
 * activation, attention probabilities) is not kept. All have the model's element type, but for the FP32 of every {@code rstd} and {@code lse}.
 *
 * @param middle residual stream behind attention, {@code n × dModel}
 * @param output residual stream behind the MLP, {@code n × dModel}
 * @param attentionRstd of the norm before attention, {@code n}
 * @param mlpRstd of the norm before the MLP, {@code n}
 * @param q rotated and normalized queries, {@code n × heads × headDim}
 * @param qRstd {@code n × heads}
 * @param k rotated and normalized keys, {@code n × kvHeads × headDim}
 * @param kRstd {@code n × kvHeads}
 * @param v values, {@code n × kvHeads × headDim}
 * @param o output of the heads, {@code n × heads × headDim}
 * @param lse {@code sequences × heads × context}
 * @param gate the MLP's gate before its activation, {@code n × mlpWidth}; null without; backward leaves its gradient there
 * @param up the MLP's hidden layer before its activation, {@code n × mlpWidth}; backward leaves its gradient there
 */
record BlockActivations(
        MemorySegment middle,
        MemorySegment output,
        MemorySegment attentionRstd,
        MemorySegment mlpRstd,
        MemorySegment q,
        MemorySegment qRstd,
        MemorySegment k,
        MemorySegment kRstd,
        MemorySegment v,
        MemorySegment o,
        MemorySegment lse,
        @Nullable MemorySegment gate,
        MemorySegment up) {

    static BlockActivations allocate(OwnedTensors memory, GptConfig config, ElementType type, int layer, long n) {
        String block = "blocks." + layer + ".";
        return new BlockActivations(
                memory.activations(block + "middle", type, n, config.dModel()),
                memory.activations(block + "output", type, n, config.dModel()),
                memory.activations(block + "attention rstd", ElementType.F32, n, 1),
                memory.activations(block + "mlp rstd", ElementType.F32, n, 1),
                memory.activations(block + "q", type, n, config.queryWidth()),
                memory.activations(block + "q rstd", ElementType.F32, n, config.heads()),
                memory.activations(block + "k", type, n, config.keyWidth()),
                memory.activations(block + "k rstd", ElementType.F32, n, config.kvHeads()),
                memory.activations(block + "v", type, n, config.keyWidth()),
                memory.activations(block + "o", type, n, config.queryWidth()),
                memory.activations(block + "lse", ElementType.F32, n, config.heads()),
                config.mlp() == Mlp.GATED ? memory.activations(block + "gate", type, n, config.mlpWidth()) : null,
                memory.activations(block + "up", type, n, config.mlpWidth()));
    }
}
