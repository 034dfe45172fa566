package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.NetworkKernels;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * One block: {@code middle = input + attention(norm(input))}, {@code output = middle + mlp(norm(middle))}.
 *
 * <p>All but attention treats rows one by one, and is done here for a tile of rows at a time, so that what one step leaves is still in the
 * cache when the next one needs it. (On a GPU a tile is all rows.)
 */
final class GptBlock {
    private final NetworkKernels kernels;
    private final DeviceMemory memory;
    private final ElementType type;
    private final GptConfig config;
    private final MemorySegment input;
    private final BlockWeights weights;
    private final BlockWeights gradients;
    private final BlockProducts products;
    private final Attention attention;
    private final MemorySegment output;
    private final BlockActivations.Rows own;
    private final BlockActivations.Sums sums;
    private final SharedActivations shared;
    private final MemorySegment rotaryTable;
    private final float eps;

    /**
     * @param type of weights and activations
     * @param input the residual stream before the block, {@code n × dModel}
     * @param output the residual stream behind it
     * @param rotaryTable {@code context × headDim}
     */
    GptBlock(
            Device device,
            ElementType type,
            GptConfig config,
            MemorySegment input,
            MemorySegment output,
            BlockWeights weights,
            BlockWeights gradients,
            BlockProducts products,
            Attention attention,
            BlockActivations own,
            SharedActivations shared,
            MemorySegment rotaryTable) {
        this.kernels = device.networkKernels();
        this.memory = device.memory();
        this.type = type;
        this.config = config;
        this.input = input;
        this.weights = weights;
        this.gradients = gradients;
        this.products = products;
        this.attention = attention;
        this.output = output;
        this.own = own.rows();
        this.sums = own.sums();
        this.shared = shared;
        this.rotaryTable = rotaryTable;
        this.eps = (float) config.normEps();
    }

    /** The residual stream behind the block. */
    MemorySegment output() {
        return output;
    }

    /** Queries, keys and values of a tile of rows. */
    void forwardToAttention(int worker, long begin, int rows) {
        long end = begin + rows;
        MemorySegment x = shared.normalized();
        kernels.rmsNorm(type, input, x, sums.attentionRstd(), eps, config.dModel(), begin, end);
        products.q().run(worker, x, weights.q(), own.q(), begin, rows);
        products.kv().runAgain(worker, x, weights.k(), own.k(), begin, rows);
        products.kv().runAgain(worker, x, weights.v(), own.v(), begin, rows);
        kernels.rotaryNorm(
                type,
                own.q(),
                sums.qRstd(),
                rotaryTable,
                eps,
                config.heads(),
                config.headDim(),
                config.context(),
                begin,
                end);
        kernels.rotaryNorm(
                type,
                own.k(),
                sums.kRstd(),
                rotaryTable,
                eps,
                config.kvHeads(),
                config.headDim(),
                config.context(),
                begin,
                end);
    }

    /** One task of attention. */
    void forwardAttention(int task, int worker, int sequences) {
        attention.forward(task, worker, sequences, own.q(), own.k(), own.v(), own.o(), sums.lse());
    }

    /**
     * What follows attention, for a tile of rows.
     *
     * @param toItsEnd whether the block's output is wanted; backward of this block does not need it
     */
    void forwardFromAttention(int worker, long begin, int rows, boolean toItsEnd) {
        long end = begin + rows;
        MemorySegment x = shared.normalized();
        copyRows(input, own.middle(), begin, rows);
        products.outAdding().run(worker, own.o(), weights.out(), own.middle(), begin, rows);
        kernels.rmsNorm(type, own.middle(), x, sums.mlpRstd(), eps, config.dModel(), begin, end);
        products.up().run(worker, x, weights.up(), own.up(), begin, rows);
        if (weights.gate() != null && own.gate() != null) {
            products.up().runAgain(worker, x, weights.gate(), own.gate(), begin, rows);
        }
        if (toItsEnd) {
            mlpOutput(worker, begin, rows);
        }
    }

    private void mlpOutput(int worker, long begin, int rows) {
        long from = begin * config.mlpWidth();
        long to = (begin + rows) * config.mlpWidth();
        if (own.gate() != null) {
            kernels.swiglu(type, own.gate(), own.up(), shared.hidden(), from, to);
        } else {
            kernels.relu2(type, own.up(), shared.hidden(), from, to);
        }
        copyRows(own.middle(), output, begin, rows);
        products.downAdding().run(worker, shared.hidden(), weights.down(), output, begin, rows);
    }

    /**
     * From the gradient of the block's output (in {@code shared.gradient}) to that of the heads' output, for a tile of rows. Leaves
     * what {@link #attentionAndOuterGradients} needs: the MLP's activation and its gradient, the normalized middle.
     */
    void backwardToAttention(int worker, long begin, int rows) {
        long end = begin + rows;
        long from = begin * config.mlpWidth();
        long to = end * config.mlpWidth();
        MemorySegment dx = shared.normalizedGradient();
        products.backThroughDown().run(worker, shared.gradient(), weights.down(), shared.hidden(), begin, rows);
        if (weights.gate() != null && own.gate() != null) {
            kernels.swigluBackward(type, own.gate(), own.up(), shared.hidden(), from, to);
            products.backThroughUp().run(worker, own.up(), weights.up(), dx, begin, rows);
            products.backThroughUpAdding().run(worker, own.gate(), weights.gate(), dx, begin, rows);
        } else {
            kernels.relu2Backward(type, own.up(), shared.hidden(), from, to);
            products.backThroughUp().run(worker, own.up(), weights.up(), dx, begin, rows);
        }
        kernels.rmsNorm(type, own.middle(), shared.normalized(), sums.mlpRstd(), eps, config.dModel(), begin, end);
        kernels.rmsNormBackward(
                type,
                dx,
                own.middle(),
                sums.mlpRstd(),
                shared.gradient(),
                shared.middleGradient(),
                config.dModel(),
                begin,
                end);
        products.backThroughOut().run(worker, shared.middleGradient(), weights.out(), shared.oGradient(), begin, rows);
        kernels.headDots(
                type,
                own.o(),
                shared.oGradient(),
                shared.oDots(),
                config.heads(),
                config.headDim(),
                config.context(),
                begin,
                end);
    }

    /** How many tasks {@link #attentionAndOuterGradients} has. */
    int attentionAndOuterTasks(int sequences) {
        int gate = weights.gate() == null ? 0 : products.upGradient().tasks();
        return attention.tasks(sequences)
                + products.downGradient().tasks()
                + products.upGradient().tasks()
                + gate
                + products.outGradient().tasks();
    }

    /** Attention backward, and the gradients of the matrices around it that are ready: those of the MLP, and {@code out}. */
    void attentionAndOuterGradients(int task, int worker, int sequences) {
        int left = task;
        if (left < attention.tasks(sequences)) {
            attention.backward(
                    left,
                    worker,
                    sequences,
                    own.q(),
                    own.k(),
                    own.v(),
                    sums.lse(),
                    shared.oGradient(),
                    shared.oDots(),
                    shared.qGradient(),
                    shared.kGradient(),
                    shared.vGradient());
            return;
        }
        left -= attention.tasks(sequences);
        if (left < products.downGradient().tasks()) {
            products.downGradient().run(left, worker, shared.gradient(), shared.hidden(), gradients.down());
            return;
        }
        left -= products.downGradient().tasks();
        if (left < products.upGradient().tasks()) {
            products.upGradient().run(left, worker, own.up(), shared.normalized(), gradients.up());
            return;
        }
        left -= products.upGradient().tasks();
        if (own.gate() != null && gradients.gate() != null) {
            if (left < products.upGradient().tasks()) {
                products.upGradient().runAgain(left, worker, own.gate(), shared.normalized(), gradients.gate());
                return;
            }
            left -= products.upGradient().tasks();
        }
        products.outGradient().run(left, worker, shared.middleGradient(), own.o(), gradients.out());
    }

    /** From the gradients of queries, keys and values to that of the block's input (in {@code shared.gradient}), for a tile of rows. */
    void backwardFromAttention(int worker, long begin, int rows) {
        long end = begin + rows;
        MemorySegment dx = shared.normalizedGradient();
        kernels.rotaryNormBackward(
                type,
                own.q(),
                sums.qRstd(),
                rotaryTable,
                shared.qGradient(),
                config.heads(),
                config.headDim(),
                config.context(),
                begin,
                end);
        kernels.rotaryNormBackward(
                type,
                own.k(),
                sums.kRstd(),
                rotaryTable,
                shared.kGradient(),
                config.kvHeads(),
                config.headDim(),
                config.context(),
                begin,
                end);
        products.backThroughQ().run(worker, shared.qGradient(), weights.q(), dx, begin, rows);
        products.backThroughKvAdding().run(worker, shared.kGradient(), weights.k(), dx, begin, rows);
        products.backThroughKvAdding().run(worker, shared.vGradient(), weights.v(), dx, begin, rows);
        kernels.rmsNorm(type, input, shared.normalized(), sums.attentionRstd(), eps, config.dModel(), begin, end);
        kernels.rmsNormBackward(
                type,
                dx,
                input,
                sums.attentionRstd(),
                shared.middleGradient(),
                shared.gradient(),
                config.dModel(),
                begin,
                end);
    }

    /** How many tasks {@link #innerGradients} has. */
    int innerTasks() {
        return products.qGradient().tasks() + 2 * products.kvGradient().tasks();
    }

    /** The gradients of the matrices of queries, keys and values. */
    void innerGradients(int task, int worker) {
        int left = task;
        if (left < products.qGradient().tasks()) {
            products.qGradient().run(left, worker, shared.qGradient(), shared.normalized(), gradients.q());
            return;
        }
        left -= products.qGradient().tasks();
        if (left < products.kvGradient().tasks()) {
            products.kvGradient().runAgain(left, worker, shared.kGradient(), shared.normalized(), gradients.k());
            return;
        }
        left -= products.kvGradient().tasks();
        products.kvGradient().runAgain(left, worker, shared.vGradient(), shared.normalized(), gradients.v());
    }

    private void copyRows(MemorySegment from, MemorySegment to, long begin, int rows) {
        long rowBytes = (long) config.dModel() * type.byteSize();
        memory.copy(from, begin * rowBytes, to, begin * rowBytes, rows * rowBytes);
    }
}
