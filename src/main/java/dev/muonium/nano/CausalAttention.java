package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.NetworkKernels;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;

/**
 * Attention made of matrix products, in FP32. One task is a key and value head of one sequence with all its queries, which it takes in blocks of
 * rows; a block is multiplied only with the keys that it may see, and a worker has the scores of one block.
 */
final class CausalAttention implements Attention {
    /** Queries of a block. */
    private static final int BLOCK = 64;

    private final NetworkKernels kernels;
    private final int context;
    private final int kvHeads;
    private final int group;
    private final int headDim;
    private final long queryWidth;
    private final long keyWidth;
    private final float scale;
    private final Block[] blocks;
    private final MemorySegment[] scores;
    private final MemorySegment[] scoreGradients;

    /**
     * The products of a block of queries.
     *
     * @param first position of its first query
     * @param rows its queries
     * @param cols the keys that its last query sees
     * @param withKeys {@code rows × headDim} times keys (or values) transposed
     * @param withValues {@code rows × cols} times values (or keys)
     * @param overQueries {@code cols × rows} times queries (or output gradients)
     * @param overQueriesAdding the same, added
     */
    private record Block(
            int first,
            int rows,
            int cols,
            Matmul withKeys,
            Matmul withValues,
            Matmul overQueries,
            Matmul overQueriesAdding) {}

    CausalAttention(Device device, OwnedTensors memory, GptConfig config) {
        this.kernels = device.networkKernels();
        this.context = config.context();
        this.kvHeads = config.kvHeads();
        this.group = config.heads() / kvHeads;
        this.headDim = config.headDim();
        this.queryWidth = config.queryWidth();
        this.keyWidth = config.keyWidth();
        this.scale = (float) (1 / Math.sqrt(headDim));
        this.blocks = new Block[(context + BLOCK - 1) / BLOCK];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = block(device, i * BLOCK, Math.min(BLOCK, context - i * BLOCK));
        }
        this.scores = perWorker(device, memory, "attention scores");
        this.scoreGradients = perWorker(device, memory, "gradients of attention scores");
    }

    private Block block(Device device, int first, int rows) {
        int cols = first + rows;
        MatmulSpec withKeys = MatmulSpec.f32(false, true, rows, cols, headDim).leading(queryWidth, keyWidth, context);
        MatmulSpec withValues =
                MatmulSpec.f32(false, false, rows, headDim, cols).leading(context, keyWidth, queryWidth);
        MatmulSpec overQueries =
                MatmulSpec.f32(true, false, cols, headDim, rows).leading(context, queryWidth, keyWidth);
        return new Block(
                first,
                rows,
                cols,
                device.matmul(withKeys),
                device.matmul(withValues),
                device.matmul(overQueries),
                device.matmul(overQueries.accumulating()));
    }

    private MemorySegment[] perWorker(Device device, OwnedTensors memory, String name) {
        MemorySegment[] segments = new MemorySegment[device.workers().count()];
        for (int i = 0; i < segments.length; i++) {
            segments[i] = scratch(memory, context, name + " of worker " + i);
        }
        return segments;
    }

    private static MemorySegment scratch(OwnedTensors memory, int context, String name) {
        return memory.tensor(Purpose.WORKSPACE, name, ElementType.F32, Shape.of(Math.min(BLOCK, context), context))
                .segment();
    }

    /** Allocates what one with that many workers does, and nothing else; for planning. */
    static void allocate(OwnedTensors memory, GptConfig config, int workers) {
        for (int i = 0; i < 2 * workers; i++) {
            scratch(memory, config.context(), "attention scores");
        }
    }

    @Override
    public int tasks(int sequences) {
        return sequences * kvHeads;
    }

    private long lseBegin(int task, int head) {
        int sequence = task / kvHeads;
        return ((long) sequence * kvHeads * group + head) * context;
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
        long sequenceRow = (long) (task / kvHeads) * context;
        int kvHead = task % kvHeads;
        long keys = sequenceRow * keyWidth + (long) kvHead * headDim;
        MemorySegment s = scores[worker];
        for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
            for (Block block : blocks) {
                long queries = (sequenceRow + block.first) * queryWidth + (long) head * headDim;
                block.withKeys.run(worker, q, queries, k, keys, s, 0);
                kernels.softmaxCausal(
                        s,
                        context,
                        scale,
                        lse,
                        lseBegin(task, head) + block.first,
                        block.first,
                        block.cols,
                        0,
                        block.rows);
                block.withValues.run(worker, s, 0, v, keys, o, queries);
            }
        }
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
        long sequenceRow = (long) (task / kvHeads) * context;
        int kvHead = task % kvHeads;
        long keys = sequenceRow * keyWidth + (long) kvHead * headDim;
        MemorySegment p = scores[worker];
        MemorySegment ds = scoreGradients[worker];
        for (int head = kvHead * group; head < (kvHead + 1) * group; head++) {
            // From the last block, which sees every key: what it stores, the others add to.
            for (int i = blocks.length - 1; i >= 0; i--) {
                Block block = blocks[i];
                long queries = (sequenceRow + block.first) * queryWidth + (long) head * headDim;
                block.withKeys.run(worker, q, queries, k, keys, p, 0);
                block.withKeys.run(worker, dO, queries, v, keys, ds, 0);
                kernels.softmaxCausalBackward(
                        p,
                        ds,
                        context,
                        scale,
                        lse,
                        delta,
                        lseBegin(task, head) + block.first,
                        block.first,
                        block.cols,
                        0,
                        block.rows);
                boolean stores = head == kvHead * group && i == blocks.length - 1;
                Matmul overQueries = stores ? block.overQueries : block.overQueriesAdding;
                overQueries.run(worker, p, 0, dO, queries, dv, keys);
                overQueries.run(worker, ds, 0, q, queries, dk, keys);
                block.withValues.run(worker, ds, 0, k, keys, dq, queries);
            }
        }
    }
}
