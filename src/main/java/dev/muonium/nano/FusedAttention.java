package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.NetworkKernels;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** Attention by the device's own kernel, which keeps the scores of a tile on the chip: one task, one call, no scratch. */
final class FusedAttention implements Attention {
    private static final int HEAD_DIM_MULTIPLE = 8;
    private static final int LARGEST_HEAD_DIM = 128;

    private final NetworkKernels kernels;
    private final ElementType type;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final int context;
    private final float scale;

    FusedAttention(Device device, GptConfig config, Precision precision) {
        requireHeadDim(config);
        this.kernels = device.networkKernels();
        this.type = precision.compute();
        this.heads = config.heads();
        this.kvHeads = config.kvHeads();
        this.headDim = config.headDim();
        this.context = config.context();
        this.scale = (float) (1 / Math.sqrt(headDim));
    }

    /** @throws IllegalArgumentException if the kernel does not take heads of this size */
    static void requireHeadDim(GptConfig config) {
        if (config.headDim() % HEAD_DIM_MULTIPLE != 0 || config.headDim() > LARGEST_HEAD_DIM) {
            throw new IllegalArgumentException("head_dim is " + config.headDim()
                    + "; on a CUDA device it must be a multiple of " + HEAD_DIM_MULTIPLE + ", at most "
                    + LARGEST_HEAD_DIM);
        }
    }

    @Override
    public int tasks(int sequences) {
        return 1;
    }

    @Override
    public void forward(
            int task,
            int worker,
            int sequences,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment o,
            MemorySegment lse) {
        kernels.attention(type, q, k, v, o, lse, scale, heads, kvHeads, headDim, context, 0, sequences);
    }

    @Override
    public void backward(
            int task,
            int worker,
            int sequences,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment lse,
            MemorySegment dO,
            MemorySegment delta,
            MemorySegment dq,
            MemorySegment dk,
            MemorySegment dv) {
        kernels.attentionBackward(
                type, q, k, v, lse, dO, delta, dq, dk, dv, scale, heads, kvHeads, headDim, context, 0, sequences);
    }
}
