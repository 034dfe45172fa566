package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import dev.muonium.device.Task;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/** One matrix after another, each cut into tasks for the device's workers. */
final class TiledPolar implements PolarEngine {
    private static final long ROWS = 64;

    private final Device device;
    private final long rows;
    private final long cols;
    private final Tensor workspace;
    private final Iteration iteration;
    private final double[] partial;
    private long fallbacks;

    TiledPolar(NewtonSchulz spec, Device device, long rows, long cols) {
        this.device = device;
        this.rows = rows;
        this.cols = cols;
        this.workspace = device.allocate(
                Purpose.OPTIMIZER_WORKSPACE,
                "polar factor of " + rows + "×" + cols,
                ElementType.U8,
                Shape.of(Iteration.workspaceBytes(spec, device, rows, cols)));
        try {
            this.iteration = Iteration.bind(spec, device, rows, cols, workspace.segment());
        } catch (RuntimeException e) {
            workspace.close();
            throw e;
        }
        this.partial = new double[Math.toIntExact((rows + ROWS - 1) / ROWS)];
    }

    @Override
    public long fallbacks() {
        return fallbacks;
    }

    @Override
    public ElementType precision() {
        return iteration.precision();
    }

    @Override
    public Way way() {
        return iteration.way();
    }

    @Override
    public void run(
            int count,
            MemorySegment u,
            ElementType uType,
            long uLd,
            long uStride,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long outStride) {
        for (int i = 0; i < count; i++) {
            run(
                    u.asSlice(i * uStride * uType.byteSize()),
                    uType,
                    uLd,
                    out.asSlice(i * outStride * outType.byteSize()),
                    outType,
                    outLd);
        }
    }

    private void run(MemorySegment u, ElementType uType, long uLd, MemorySegment out, ElementType outType, long outLd) {
        Iteration used = iteration;
        compute(used, u, uType, uLd);
        if (used.hasFallback() && used.isWrong(sumOfSquares(used.output()))) {
            fallbacks++;
            used = used.fallback();
            compute(used, u, uType, uLd);
        }
        Iteration done = used;
        forRows((begin, end, task) -> device.kernels()
                .scale(1, done.output(), done.precision(), cols, out, outType, outLd, cols, begin, end));
    }

    private double sumOfSquares(MemorySegment matrix) {
        forRows((begin, end, task) ->
                partial[task] = device.kernels().sumSquares(matrix, iteration.precision(), begin * cols, end * cols));
        return sum();
    }

    private double sum() {
        double sum = 0;
        for (double part : partial) {
            sum += part;
        }
        return sum;
    }

    private void compute(Iteration iteration, MemorySegment u, ElementType uType, long uLd) {
        Kernels kernels = device.kernels();
        ElementType precision = iteration.precision();
        forRows((begin, end, task) -> {
            kernels.scale(1, u, uType, uLd, iteration.input(), precision, cols, cols, begin, end);
            partial[task] = kernels.sumSquares(iteration.input(), precision, begin * cols, end * cols);
        });
        double sum = sum();
        if (!(sum < Double.POSITIVE_INFINITY)) {
            throw PolarEngine.notFinite(rows, cols);
        }
        iteration.begin(Math.sqrt(sum));
        for (int stage = 0; stage < iteration.stages(); stage++) {
            int current = stage;
            device.workers().run(iteration.tasks(stage), (task, worker) -> iteration.run(current, task, worker));
        }
    }

    @FunctionalInterface
    private interface RowTask {
        void run(long begin, long end, int task);
    }

    private void forRows(RowTask body) {
        Task task = (number, worker) -> body.run(number * ROWS, Math.min((number + 1) * ROWS, rows), number);
        device.workers().run(partial.length, task);
    }

    @Override
    public void close() {
        workspace.close();
    }
}
