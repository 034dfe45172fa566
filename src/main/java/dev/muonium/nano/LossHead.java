package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.NetworkKernels;
import dev.muonium.device.TiledProduct;
import dev.muonium.device.Workers;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The head and its loss: logits {@code X·Wᵀ}, soft cap, cross-entropy. Rows are taken in chunks, from logits to the gradients of X and W, so
 * that the logits of all rows (201 kB each with a vocabulary of 50257) never exist together.
 */
final class LossHead {
    /** Rows of a task of the softmax, where it is cut. */
    static final int SOFTMAX_ROWS = 16;

    private final NetworkKernels kernels;
    private final DeviceMemory memory;
    private final ElementType type;
    private final Workers workers;
    private final int vocab;
    private final int dModel;
    private final float cap;
    private final int rows;
    private final int chunkRows;
    private final MemorySegment logits;
    private final MemorySegment losses;
    private final MemorySegment hostLosses;
    private final Chunk full;
    private final Chunk tail;

    /** The products of a chunk of rows. */
    private final class Chunk {
        private final int rows;
        private final int taskRows;
        private final TiledProduct logitsProduct;
        private final TiledProduct backward;
        private final TiledProduct weightGradient;

        Chunk(Device device, Precision precision, Grain grain, int rows) {
            this.rows = rows;
            this.taskRows = grain == Grain.WHOLE ? rows : SOFTMAX_ROWS;
            this.logitsProduct =
                    grain.tiled(device, MatmulSpec.dense(type, type, false, true, rows, vocab, dModel), 128, 1024);
            this.backward =
                    grain.tiled(device, MatmulSpec.dense(type, type, false, false, rows, dModel, vocab), 64, 128);
            MatmulSpec ofWeights = MatmulSpec.dense(type, precision.gradients(), true, false, vocab, dModel, rows);
            this.weightGradient = grain.tiled(device, ofWeights.accumulating(), 512, 512);
        }

        void logits(MemorySegment x, MemorySegment w, long begin) {
            workers.run(
                    logitsProduct.tasks(),
                    (task, worker) -> logitsProduct.run(task, worker, x, begin * dModel, w, 0, logits, 0));
        }

        void lossOnly(MemorySegment targets, long begin) {
            workers.run(
                    softmaxTasks(),
                    (task, worker) -> kernels.crossEntropy(
                            type, logits, cap, targets, losses, begin, vocab, (long) task * taskRows, end(task)));
        }

        void lossAndGradient(MemorySegment targets, long begin, float scale) {
            workers.run(
                    softmaxTasks(),
                    (task, worker) -> kernels.crossEntropyBackward(
                            type,
                            logits,
                            cap,
                            targets,
                            losses,
                            begin,
                            scale,
                            vocab,
                            (long) task * taskRows,
                            end(task)));
        }

        void gradients(MemorySegment x, MemorySegment w, MemorySegment dx, MemorySegment dw, long begin) {
            workers.run(backward.tasks() + weightGradient.tasks(), (task, worker) -> {
                if (task < backward.tasks()) {
                    backward.run(task, worker, logits, 0, w, 0, dx, begin * dModel);
                } else {
                    weightGradient.run(task - backward.tasks(), worker, logits, 0, x, begin * dModel, dw, 0);
                }
            });
        }

        private int softmaxTasks() {
            return (rows + taskRows - 1) / taskRows;
        }

        private long end(int task) {
            return Math.min(rows, (task + 1L) * taskRows);
        }
    }

    /**
     * @param hostLosses memory of the host for the loss of each row, FP64
     * @param rows of a whole batch
     */
    LossHead(
            Device device,
            GptConfig config,
            Precision precision,
            Grain grain,
            HeadActivations activations,
            MemorySegment hostLosses,
            int rows) {
        this.kernels = device.networkKernels();
        this.memory = device.memory();
        this.type = precision.compute();
        this.workers = device.workers();
        this.vocab = config.vocab();
        this.dModel = config.dModel();
        this.cap = (float) config.softCap();
        this.rows = rows;
        this.chunkRows = activations.chunkRows();
        this.logits = activations.logits();
        this.losses = activations.losses();
        this.hostLosses = hostLosses;
        this.full = new Chunk(device, precision, grain, chunkRows);
        this.tail = rows % chunkRows == 0 ? full : new Chunk(device, precision, grain, rows % chunkRows);
    }

    /** The mean loss of all rows, in nats. */
    double loss(MemorySegment x, MemorySegment w, MemorySegment targets) {
        for (int begin = 0; begin < rows; begin += chunkRows) {
            Chunk chunk = chunkAt(begin);
            chunk.logits(x, w, begin);
            chunk.lossOnly(targets, begin);
        }
        return meanLoss();
    }

    /**
     * {@code dx} (overwritten) and {@code dw} (added to); the loss stays on the device until {@link #meanLoss} asks for it.
     *
     * @param gradientScale what the gradient of the mean loss is multiplied by
     */
    void gradients(
            MemorySegment x,
            MemorySegment w,
            MemorySegment targets,
            double gradientScale,
            MemorySegment dx,
            MemorySegment dw) {
        float scale = (float) (gradientScale / rows);
        for (int begin = 0; begin < rows; begin += chunkRows) {
            Chunk chunk = chunkAt(begin);
            chunk.logits(x, w, begin);
            chunk.lossAndGradient(targets, begin, scale);
            chunk.gradients(x, w, dx, dw, begin);
        }
    }

    private Chunk chunkAt(int begin) {
        return rows - begin >= chunkRows ? full : tail;
    }

    /** The mean loss of all rows that was computed last, in nats; waits for the device. */
    double meanLoss() {
        memory.copyOut(losses, 0, hostLosses, 0, (long) rows * ElementType.F64.byteSize());
        double sum = 0;
        for (long row = 0; row < rows; row++) {
            sum += hostLosses.getAtIndex(ValueLayout.JAVA_DOUBLE, row);
        }
        return sum / rows;
    }
}
