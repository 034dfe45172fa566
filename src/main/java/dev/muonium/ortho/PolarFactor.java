package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Computes {@code NewtonSchulz(U)}, which approaches the polar factor {@code U·(UᵀU)^(-1/2)}, for matrices of one shape: parts of
 * larger matrices through a leading dimension, stacks through a stride.
 *
 * <p>Owns its workspace, counted as {@link Purpose#OPTIMIZER_WORKSPACE}. On a CPU it runs on the device's workers, one matrix after
 * another, and the bits of the result do not depend on how many there are; on a GPU a stack is worked on several matrices at a time,
 * and the results may not be there yet when a call returns: copies from the device wait for them. One thread at a time: a call during
 * one of another thread is an {@link IllegalStateException}.
 */
public final class PolarFactor implements AutoCloseable {
    private final Device device;
    private final long rows;
    private final long cols;
    private final PolarEngine engine;
    private final AtomicBoolean busy = new AtomicBoolean();

    /**
     * Prepares for a shape.
     *
     * @throws IllegalArgumentException if a side is below 1
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public PolarFactor(NewtonSchulz spec, Device device, long rows, long cols) {
        this(spec, device, rows, cols, 1);
    }

    /**
     * Prepares for stacks of a shape.
     *
     * @param together how many matrices of a stack a GPU works on at a time, each with workspace of its own; a CPU works on one
     * @throws IllegalArgumentException if a side, or {@code together}, is below 1
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public PolarFactor(NewtonSchulz spec, Device device, long rows, long cols, int together) {
        this(device, rows, cols, engine(spec, device, rows, cols, together));
    }

    /** With an engine of the caller's choice. */
    PolarFactor(Device device, long rows, long cols, PolarEngine engine) {
        this.device = device;
        this.rows = rows;
        this.cols = cols;
        this.engine = engine;
    }

    private static PolarEngine engine(NewtonSchulz spec, Device device, long rows, long cols, int together) {
        if (together < 1) {
            throw new IllegalArgumentException(
                    together + " matrices of a stack are to be worked on at a time; it must be at least 1");
        }
        return device.memory().isHost()
                ? new TiledPolar(spec, device, rows, cols)
                : new StackedPolar(spec, device, SquareProducts.ofProperty(), rows, cols, together);
    }

    /** The precision of the iterates. */
    public ElementType precision() {
        return engine.precision();
    }

    /** The way of evaluating. */
    public Way way() {
        return engine.way();
    }

    /**
     * How many matrices so far were evaluated a second time, from X itself in every step, because their Gram iteration had gone wrong
     * ({@link Iteration#isWrong}). On a GPU, where results are not looked at, 0.
     */
    public long fallbacks() {
        return engine.fallbacks();
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
     * @throws IllegalArgumentException if a segment is not memory of the device, misaligned, too small or read-only, or u is not finite
     * @throws IllegalStateException if another thread is using this
     */
    public void apply(
            MemorySegment u, ElementType uType, long uLd, MemorySegment out, ElementType outType, long outLd) {
        run(1, u, uType, uLd, 0, out, outType, outLd, 0);
    }

    private void run(
            int count,
            MemorySegment u,
            ElementType uType,
            long uLd,
            long uStride,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long outStride) {
        device.memory().requireReadable("u", u, uType, extent("u", count, uLd, uStride));
        device.memory().requireWritable("out", out, outType, extent("out", count, outLd, outStride));
        acquire();
        try {
            engine.run(count, u, uType, uLd, uStride, out, outType, outLd, outStride);
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
        run(count, u, uType, uLd, uStride, out, outType, outLd, outStride);
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

    /**
     * Frees the workspace. A second call does nothing.
     *
     * @throws IllegalStateException if another thread is using this
     */
    @Override
    public void close() {
        acquire();
        try {
            engine.close();
        } finally {
            busy.set(false);
        }
    }
}
