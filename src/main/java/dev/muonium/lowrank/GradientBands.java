package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.TiledProduct;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;

/**
 * A gradient G of {@code m × n} and the products with it, in FP32. Where it is BF16, bands of its rows are converted into a workspace one after
 * the other; an FP32 one is a single band where it lies. Borders depend on shape and rank alone.
 */
final class GradientBands {
    /** About the rows of a task. */
    private static final int TASK_ROWS = 256;

    /** About the columns of a task. */
    private static final int TASK_COLS = 512;

    private final Device device;
    private final MemorySegment gradient;
    private final ElementType type;
    private final long rows;
    private final long cols;
    private final int rank;
    private final long bandRows;
    private final MemorySegment workspace;

    /** Something to do with {@code count} rows of G in FP32, the first of which is row {@code first}. */
    @FunctionalInterface
    private interface Band {
        void take(MemorySegment values, long first, long count);
    }

    /**
     * @param gradient dense, on the device
     * @param type F32 or BF16
     * @param shape {@code m × n}
     * @param rank columns of what it is multiplied with
     * @param workspace of {@link LowRankMemory#workspaceElements}; written only for BF16, and only during a call
     */
    GradientBands(
            Device device, MemorySegment gradient, ElementType type, Shape shape, int rank, MemorySegment workspace) {
        this.device = device;
        this.gradient = gradient;
        this.type = type;
        this.rows = shape.extent(0);
        this.cols = shape.extent(1);
        this.rank = rank;
        this.bandRows = type == ElementType.F32 ? rows : LowRankMemory.bandRows(shape, rank);
        this.workspace = workspace;
    }

    /** {@code Σ g²} in double; finite if and only if every element is. */
    double sumSquares() {
        return device.kernels().sumSquares(gradient, type, 0, rows * cols);
    }

    /** {@code C = G·X}, or {@code C += G·X}; X is {@code n × r}, C {@code m × r}. */
    void times(MemorySegment x, MemorySegment c, boolean adding) {
        forEach((values, first, count) ->
                run(adding(MatmulSpec.f32(false, false, count, rank, cols), adding), values, 0, x, 0, c, first * rank));
    }

    /** {@code C = Gᵀ·X}; X is {@code m × r}, C {@code n × r}. */
    void transposedTimes(MemorySegment x, MemorySegment c) {
        forEach((values, first, count) -> run(
                adding(MatmulSpec.f32(true, false, cols, rank, count), first > 0), values, 0, x, first * rank, c, 0));
    }

    /** {@code C += Xᵀ·G}; X is {@code m × r}, C {@code r × n}. */
    void addTransposedTimesThis(MemorySegment x, MemorySegment c) {
        forEach((values, first, count) ->
                run(MatmulSpec.f32(true, false, rank, cols, count).accumulating(), x, first * rank, values, 0, c, 0));
    }

    private static MatmulSpec adding(MatmulSpec spec, boolean adding) {
        return adding ? spec.accumulating() : spec;
    }

    private void run(
            MatmulSpec spec, MemorySegment a, long aBegin, MemorySegment b, long bBegin, MemorySegment c, long cBegin) {
        TiledProduct product = TiledProduct.forWorkersOf(device, spec, TASK_ROWS, TASK_COLS);
        device.workers()
                .run(product.tasks(), (task, worker) -> product.run(task, worker, a, aBegin, b, bBegin, c, cBegin));
    }

    private void forEach(Band band) {
        if (type == ElementType.F32) {
            band.take(gradient, 0, rows);
            return;
        }
        for (long first = 0; first < rows; first += bandRows) {
            long count = Math.min(bandRows, rows - first);
            convert(first, count);
            band.take(workspace, first, count);
        }
    }

    private void convert(long first, long count) {
        long rowBytes = cols * type.byteSize();
        MemorySegment from = device.memory().slice(gradient, first * rowBytes, count * rowBytes);
        long taskRows = device.memory().isHost() ? TASK_ROWS : count;
        device.workers()
                .run(
                        Math.toIntExact((count + taskRows - 1) / taskRows),
                        (task, worker) -> device.kernels()
                                .scale(
                                        1,
                                        from,
                                        type,
                                        cols,
                                        workspace,
                                        ElementType.F32,
                                        cols,
                                        cols,
                                        task * taskRows,
                                        Math.min(count, (task + 1) * taskRows)));
    }
}
