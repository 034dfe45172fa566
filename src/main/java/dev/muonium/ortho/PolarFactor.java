package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import dev.muonium.device.Task;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Computes {@code NewtonSchulz(U)}, which approaches the polar factor {@code U·(UᵀU)^(-1/2)}, for matrices of one shape: parts of
 * larger matrices through a leading dimension, stacks through a stride.
 *
 * <p>Owns its workspace, counted as {@link Purpose#OPTIMIZER_WORKSPACE}. Runs on the device's workers; the bits of the result do
 * not depend on how many there are. Not thread-safe.
 */
public final class PolarFactor implements AutoCloseable {
    private static final long ROWS = 64;

    private final Device device;
    private final long rows;
    private final long cols;
    private final Tensor workspace;
    private final Iteration iteration;
    private final double[] partial;

    /**
     * Prepares for a shape.
     *
     * @throws IllegalArgumentException if a side is below 1
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public PolarFactor(NewtonSchulz spec, Device device, long rows, long cols) {
        Shape.of(rows, cols);
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

    /** The precision of the iterates. */
    public ElementType precision() {
        return iteration.precision();
    }

    /** The way of evaluating. */
    public Way way() {
        return iteration.way();
    }

    /** {@code out ← NewtonSchulz(u)} for dense matrices. */
    public void apply(MemorySegment u, ElementType uType, MemorySegment out, ElementType outType) {
        apply(u, uType, cols, out, outType, cols);
    }

    /**
     * {@code out ← NewtonSchulz(u)}.
     *
     * @param u {@code rows × cols}; only read
     * @param uLd elements from one row of u to the next, at least {@code cols}
     * @param out {@code rows × cols}; may be {@code u}
     * @param outLd elements from one row of out to the next, at least {@code cols}
     * @throws IllegalArgumentException if a segment is on the heap, misaligned, too small or read-only, or u is not finite
     */
    public void apply(
            MemorySegment u, ElementType uType, long uLd, MemorySegment out, ElementType outType, long outLd) {
        Segments.requireOffHeap("u", u, uType, extent("u", uLd));
        Segments.requireWritable("out", out, outType, extent("out", outLd));
        Kernels kernels = device.kernels();
        ElementType precision = iteration.precision();
        forRows((begin, end, task) -> {
            kernels.scale(1, u, uType, uLd, iteration.input(), precision, cols, cols, begin, end);
            partial[task] = kernels.sumSquares(iteration.input(), precision, begin * cols, end * cols);
        });
        double sum = 0;
        for (double part : partial) {
            sum += part;
        }
        if (!(sum < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException(
                    "a matrix of " + rows + "×" + cols + " holds NaN or an infinity; its polar factor is not defined");
        }
        iteration.begin(Math.sqrt(sum));
        for (int stage = 0; stage < iteration.stages(); stage++) {
            int current = stage;
            device.workers().run(iteration.tasks(stage), (task, worker) -> iteration.run(current, task, worker));
        }
        forRows((begin, end, task) ->
                kernels.scale(1, iteration.output(), precision, cols, out, outType, outLd, cols, begin, end));
    }

    /**
     * The same for each matrix of a stack.
     *
     * @param count the number of matrices
     * @param uStride elements from one matrix of u to the next
     * @param outStride elements from one matrix of out to the next
     */
    public void applyToStack(
            int count,
            MemorySegment u,
            ElementType uType,
            long uLd,
            long uStride,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long outStride) {
        if (count < 1) {
            throw new IllegalArgumentException("a stack has " + count + " matrices; it must have at least 1");
        }
        Segments.requireOffHeap("u", u, uType, (count - 1) * uStride + extent("u", uLd));
        Segments.requireWritable("out", out, outType, (count - 1) * outStride + extent("out", outLd));
        for (int i = 0; i < count; i++) {
            apply(
                    u.asSlice(i * uStride * uType.byteSize()),
                    uType,
                    uLd,
                    out.asSlice(i * outStride * outType.byteSize()),
                    outType,
                    outLd);
        }
    }

    private long extent(String name, long ld) {
        if (ld < cols) {
            throw new IllegalArgumentException("the leading dimension of '" + name + "' is " + ld
                    + "; it must be at least the " + cols + " columns");
        }
        return (rows - 1) * ld + cols;
    }

    @FunctionalInterface
    private interface RowTask {
        void run(long begin, long end, int task);
    }

    private void forRows(RowTask body) {
        Task task = (number, worker) -> body.run(number * ROWS, Math.min((number + 1) * ROWS, rows), number);
        device.workers().run(partial.length, task);
    }

    /** Frees the workspace. A second call does nothing. */
    @Override
    public void close() {
        workspace.close();
    }
}
