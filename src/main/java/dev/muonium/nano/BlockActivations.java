package dev.muonium.nano;

import dev.muonium.memory.ElementType;
import dev.muonium.nano.GptConfig.Mlp;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What forward through a block leaves for backward beside the residual stream before and behind it. What can be had again by one cheap
 * pass (normalized rows, the MLP's activation, attention probabilities) is not there. Blocks that are not between their forward and their backward at the same time may share one.
 *
 * @param rows what all have the model's element type
 * @param sums FP32
 */
record BlockActivations(Rows rows, Sums sums) {
    /**
     * In the model's element type; {@code n} rows.
     *
     * @param middle residual stream behind attention, {@code n × dModel}
     * @param q rotated and normalized queries, {@code n × heads × headDim}
     * @param k rotated and normalized keys, {@code n × kvHeads × headDim}
     * @param v values, {@code n × kvHeads × headDim}
     * @param o output of the heads, {@code n × heads × headDim}
     * @param gate the MLP's gate before its activation, {@code n × mlpWidth}; null without; backward leaves its gradient there
     * @param up the MLP's hidden layer before its activation, {@code n × mlpWidth}; backward leaves its gradient there
     */
    record Rows(
            MemorySegment middle,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment o,
            @Nullable MemorySegment gate,
            MemorySegment up) {

        static Rows allocate(OwnedTensors memory, GptConfig config, ElementType type, String owner, long n) {
            return new Rows(
                    memory.activations(owner + ".middle", type, n, config.dModel()),
                    memory.activations(owner + ".q", type, n, config.queryWidth()),
                    memory.activations(owner + ".k", type, n, config.keyWidth()),
                    memory.activations(owner + ".v", type, n, config.keyWidth()),
                    memory.activations(owner + ".o", type, n, config.queryWidth()),
                    config.mlp() == Mlp.GATED ? memory.activations(owner + ".gate", type, n, config.mlpWidth()) : null,
                    memory.activations(owner + ".up", type, n, config.mlpWidth()));
        }

        /** All of them, in one order for all blocks. */
        List<MemorySegment> all() {
            List<MemorySegment> all = new ArrayList<>(List.of(middle, q, k, v, o, up));
            if (gate != null) {
                all.add(gate);
            }
            return all;
        }

        /** Elements of a row of each of {@link #all}. */
        static List<Integer> widths(GptConfig config) {
            List<Integer> widths = new ArrayList<>(List.of(
                    config.dModel(),
                    config.queryWidth(),
                    config.keyWidth(),
                    config.keyWidth(),
                    config.queryWidth(),
                    config.mlpWidth()));
            if (config.mlp() == Mlp.GATED) {
                widths.add(config.mlpWidth());
            }
            return widths;
        }
    }

    /**
     * Reciprocals of norms and logarithms of sums, in FP32.
     *
     * @param attentionRstd of the norm before attention, {@code n}
     * @param mlpRstd of the norm before the MLP, {@code n}
     * @param qRstd {@code n × heads}
     * @param kRstd {@code n × kvHeads}
     * @param lse {@code sequences × heads × context}
     */
    record Sums(
            MemorySegment attentionRstd,
            MemorySegment mlpRstd,
            MemorySegment qRstd,
            MemorySegment kRstd,
            MemorySegment lse) {

        static Sums allocate(OwnedTensors memory, GptConfig config, String owner, long n) {
            return new Sums(
                    memory.activations(owner + ".attention rstd", ElementType.F32, n, 1),
                    memory.activations(owner + ".mlp rstd", ElementType.F32, n, 1),
                    memory.activations(owner + ".q rstd", ElementType.F32, n, config.heads()),
                    memory.activations(owner + ".k rstd", ElementType.F32, n, config.kvHeads()),
                    memory.activations(owner + ".lse", ElementType.F32, n, config.heads()));
        }
    }
}
