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
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Computes {@code NewtonSchulz(U)}, which approaches the polar factor {@code U·(UᵀU)^(-1/2)}, for matrices of one shape: parts of
 * larger matrices through a leading dimension, stacks through a stride.
 *
 * <p>Owns its workspace, counted as {@link Purpose#OPTIMIZER_WORKSPACE}. Runs on the device's workers; the bits of the result do
 * not depend on how many there are. One thread at a time: a call during one of another thread is an
 * {@link IllegalStateException}.
 */
public final class PolarFactor implements AutoCloseable {
    private static final long ROWS = 64;

    private final Device device;
    private final long rows;
    private final long cols;
    private final Tensor workspace;
    private final Iteration iteration;
    private final double[] partial;
    private final AtomicBoolean busy = new AtomicBoolean();

    /**
     * Prepares for a shape.
     *
     * @throws IllegalArgumentException if a side is below 1
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public PolarFactor(NewtonSchulz spec, Device device, long rows, long cols) {
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
     * @throws IllegalStateException if another thread is using this
     */
    public void apply(
            MemorySegment u, ElementType uType, long uLd, MemorySegment out, ElementType outType, long outLd) {
        Segments.requireOffHeap("u", u, uType, extent("u", uLd));
        Segments.requireWritable("out", out, outType, extent("out", outLd));
        acquire();
        try {
            run(u, uType, uLd, out, outType, outLd);
        } finally {
            busy.set(false);
        }
    }

    private void acquire() {
        if (!busy.compareAndSet(false, true)) {
            throw new IllegalStateException("the polar factor of " + rows + "×" + cols
                    + " is in use by another thread; give each thread one of its own");
        }
    }

    private void run(MemorySegment u, ElementType uType, long uLd, MemorySegment out, ElementType outType, long outLd) {
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
     * @param uStride elements from one matrix of u to the next, at least what one spans: {@code (rows - 1)·uLd + cols}
     * @param outStride elements from one matrix of out to the next, at least what one spans
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
        Segments.requireOffHeap("u", u, uType, extent("u", count, uLd, uStride));
        Segments.requireWritable("out", out, outType, extent("out", count, outLd, outStride));
        acquire();
        try {
            for (int i = 0; i < count; i++) {
                run(
                        u.asSlice(i * uStride * uType.byteSize()),
                        uType,
                        uLd,
                        out.asSlice(i * outStride * outType.byteSize()),
                        outType,
                        outLd);
            }
        } finally {
            busy.set(false);
        }
    }

    /** Elements from the first of a stack to its last; {@link Long#MAX_VALUE}, which no memory has, where they cannot be counted. */
    private long extent(String name, int count, long ld, long stride) {
        long one = extent(name, ld);
        if (count == 1) {
            return one;
        }
        if (stride < one) {
            throw new IllegalArgumentException(
                    "the stride of '" + name + "' is " + stride + "; it must be at least the " + one
                            + " elements that one matrix of " + rows + "×" + cols + " spans");
        }
        try {
            return Math.addExact(Math.multiplyExact(count - 1, stride), one);
        } catch (ArithmeticException e) {
            return Long.MAX_VALUE;
        }
    }

    private long extent(String name, long ld) {
        if (ld < cols) {
            throw new IllegalArgumentException("the leading dimension of '" + name + "' is " + ld
                    + "; it must be at least the " + cols + " columns");
        }
        try {
            return Math.addExact(Math.multiplyExact(rows - 1, ld), cols);
        } catch (ArithmeticException e) {
            return Long.MAX_VALUE;
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

    /**
     * Frees the workspace. A second call does nothing.
     *
     * @throws IllegalStateException if another thread is using this
     */
    @Override
    public void close() {
        acquire();
        try {
            workspace.close();
        } finally {
            busy.set(false);
        }
    }
}
