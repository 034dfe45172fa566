package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.NetworkKernels;
import dev.muonium.device.Workers;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The head and its loss: logits {@code X·Wᵀ}, soft cap, cross-entropy. Rows are taken in chunks, from logits to the gradients of X and W, so
 * that the logits of all rows (201 kB each with a vocabulary of 50257) never exist together.
 */
final class LossHead {
    /** Logits of a chunk: 32 MiB of them. */
    private static final long CHUNK_LOGITS = 8L << 20;

    /** Rows of a task of the softmax. */
    private static final int SOFTMAX_ROWS = 16;

    private final NetworkKernels kernels;
    private final Workers workers;
    private final int vocab;
    private final int dModel;
    private final float cap;
    private final int rows;
    private final int chunkRows;
    private final MemorySegment logits;
    private final MemorySegment losses;
    private final Chunk full;
    private final Chunk tail;

    /** The products of a chunk of rows. */
    private final class Chunk {
        private final int rows;
        private final TiledProduct logitsProduct;
        private final TiledProduct backward;
        private final TiledProduct weightGradient;

        Chunk(Device device, int rows) {
            this.rows = rows;
            this.logitsProduct = new TiledProduct(device, MatmulSpec.f32(false, true, rows, vocab, dModel), 128, 1024);
            this.backward = new TiledProduct(device, MatmulSpec.f32(false, false, rows, dModel, vocab), 64, 128);
            this.weightGradient = new TiledProduct(
                    device, MatmulSpec.f32(true, false, vocab, dModel, rows).accumulating(), 512, 512);
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
                            ElementType.F32,
                            logits,
                            cap,
                            targets,
                            losses,
                            begin,
                            vocab,
                            (long) task * SOFTMAX_ROWS,
                            end(task)));
        }

        void lossAndGradient(MemorySegment targets, long begin, float scale) {
            workers.run(
                    softmaxTasks(),
                    (task, worker) -> kernels.crossEntropyBackward(
                            ElementType.F32,
                            logits,
                            cap,
                            targets,
                            losses,
                            begin,
                            scale,
                            vocab,
                            (long) task * SOFTMAX_ROWS,
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
            return (rows + SOFTMAX_ROWS - 1) / SOFTMAX_ROWS;
        }

        private long end(int task) {
            return Math.min(rows, (task + 1L) * SOFTMAX_ROWS);
        }
    }

    /** @param rows of a whole batch */
    LossHead(Device device, OwnedTensors memory, GptConfig config, int rows) {
        this.kernels = device.networkKernels();
        this.workers = device.workers();
        this.vocab = config.vocab();
        this.dModel = config.dModel();
        this.cap = (float) config.softCap();
        this.rows = rows;
        long fitting = Math.max(SOFTMAX_ROWS, CHUNK_LOGITS / vocab / SOFTMAX_ROWS * SOFTMAX_ROWS);
        this.chunkRows = (int) Math.min(rows, fitting);
        this.logits = memory.activations("logits of a chunk", chunkRows, vocab);
        this.losses = memory.tensor(Purpose.ACTIVATIONS, "losses", ElementType.F64, Shape.of(rows))
                .segment();
        this.full = new Chunk(device, chunkRows);
        this.tail = rows % chunkRows == 0 ? full : new Chunk(device, rows % chunkRows);
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
     * The mean loss, {@code dx} (overwritten) and {@code dw} (added to).
     *
     * @param gradientScale what the gradient of the mean loss is multiplied by
     */
    double lossAndGradients(
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
        return meanLoss();
    }

    private Chunk chunkAt(int begin) {
        return rows - begin >= chunkRows ? full : tail;
    }

    private double meanLoss() {
        double sum = 0;
        for (long row = 0; row < rows; row++) {
            sum += losses.getAtIndex(ValueLayout.JAVA_DOUBLE, row);
        }
        return sum / rows;
    }
}
