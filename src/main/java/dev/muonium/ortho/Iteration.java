package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A Newton-Schulz iteration for one shape, bound to its workspace: a list of stages, each cut into tasks. Whoever runs it either
 * calls {@link #run(int)} on one worker, or runs each stage's tasks on many; the bits of the result are the same.
 *
 * <p>Use: write U densely to {@link #input()}, call {@link #begin} with its norm, run all stages in order, read {@link #output()}.
 * Nothing is allocated after {@link #bind}. Not thread-safe, except for the tasks of one stage.
 *
 * <p>The small matrices are of the shorter side: a wide X is multiplied from the left ({@code A = X·Xᵀ}), a tall one from the
 * right ({@code A = Xᵀ·X}), so that nothing is transposed in memory.
 */
public final class Iteration {
    /** Cache lines, and the alignment of the vector kernels' fastest loads. */
    private static final long ALIGNMENT = 64;

    /** With a norm of 2^±this, neither the Gram matrix nor its square leaves the range of FP32 or bfloat16. */
    private static final int EASY_EXPONENT = 12;

    /**
     * Above it, the root mean square of the singular values means that something went wrong: what converges leaves them near 1. A schedule that was cut
     * short can leave single ones above (Polar Express after three steps: 1.87) and then, if nearly all are, is computed a second time for nothing.
     */
    private static final double LARGEST = 1.5;

    private final ElementType precision;
    private final Way way;
    private final long rows;
    private final long cols;
    private final Matrix input;
    private final Matrix output;
    private final RescaleStage rescale;
    private final FirstStep firstStep;
    private final @Nullable GramNorm gramNorm;
    private final Stage[] stages;
    private final @Nullable Iteration fallback;

    private Iteration(
            Way way,
            ElementType precision,
            long rows,
            long cols,
            Evaluation<?> evaluation,
            @Nullable Iteration fallback) {
        this.precision = precision;
        this.way = way;
        this.rows = rows;
        this.cols = cols;
        this.input = evaluation.input();
        this.output = evaluation.output();
        this.rescale = evaluation.rescale();
        this.firstStep = evaluation.firstStep();
        this.gramNorm = evaluation.gramNorm();
        this.stages = evaluation.stages();
        this.fallback = fallback;
    }

    /**
     * Bytes of workspace that an iteration for {@code rows × cols} needs on a device; a multiple of 64.
     *
     * @throws IllegalArgumentException if a side is below 1, or a 64-bit count cannot hold them
     */
    public static long workspaceBytes(NewtonSchulz spec, Device device, long rows, long cols) {
        return workspaceBytes(spec, spec.precisionOn(device), rows, cols);
    }

    /** The same for iterates of a precision, F32 or BF16. */
    public static long workspaceBytes(NewtonSchulz spec, ElementType precision, long rows, long cols) {
        Shape.of(rows, cols);
        Way way = spec.wayFor(rows, cols, precision);
        try {
            return precision == ElementType.BF16
                    ? PanelEvaluation.workspaceBytes(spec, rows, cols, way)
                    : DenseEvaluation.workspaceBytes(spec, rows, cols, way);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                    "the workspace of a Newton-Schulz iteration for " + rows + "×" + cols
                            + " has more bytes than a 64-bit count can hold; split the matrix",
                    e);
        }
    }

    static long aligned(long bytes) {
        return Math.addExact(bytes, ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /**
     * Prepares an iteration. Its matrix products are made here, which takes about a millisecond for each that is new to the device.
     *
     * @param workspace of at least {@link #workspaceBytes} bytes off the heap, aligned to 4 bytes (64 are faster), which the caller
     *     owns; its contents are overwritten
     * @throws IllegalArgumentException if the workspace is too small, on the heap, misaligned or read-only
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public static Iteration bind(NewtonSchulz spec, Device device, long rows, long cols, MemorySegment workspace) {
        long needed = workspaceBytes(spec, device, rows, cols);
        Segments.requireWritable(
                "the workspace of a Newton-Schulz iteration for " + rows + "×" + cols,
                workspace,
                ElementType.F32,
                needed / ElementType.F32.byteSize());
        ElementType precision = spec.precisionOn(device);
        Way way = spec.wayFor(rows, cols, precision);
        return bind(spec, device, precision, way, rows, cols, workspace);
    }

    private static Iteration bind(
            NewtonSchulz spec,
            Device device,
            ElementType precision,
            Way way,
            long rows,
            long cols,
            MemorySegment workspace) {
        Evaluation<?> evaluation = precision == ElementType.BF16
                ? new PanelEvaluation(spec, device.kernels(), rows, cols, way, workspace)
                : new DenseEvaluation(spec, device, rows, cols, way, workspace);
        // It takes turns with this one in the same workspace, and needs less of it.
        Iteration fallback =
                way instanceof Way.Gram ? bind(spec, device, precision, Way.symmetric(), rows, cols, workspace) : null;
        return new Iteration(way, precision, rows, cols, evaluation, fallback);
    }

    /** Where U goes, {@code rows × cols} and dense, before {@link #begin}. */
    public MemorySegment input() {
        return input.segment();
    }

    /** Where the result is, {@code rows × cols} and dense, after the last stage. May be {@link #input()}. */
    public MemorySegment output() {
        return output.segment();
    }

    /** The element type of input and output. */
    public ElementType precision() {
        return precision;
    }

    /** The way of evaluating. */
    public Way way() {
        return way;
    }

    /**
     * Sets the normalization of the input that lies in {@link #input()}.
     *
     * @param norm its Frobenius norm, finite
     */
    public void begin(double norm) {
        if (!(norm >= 0 && norm < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("the norm of a " + rows + "×" + cols + " matrix is " + norm
                    + "; Newton-Schulz needs it to be finite and not negative");
        }
        int exponent = norm == 0 ? 0 : Math.getExponent(norm);
        // Powers of two only, so that rounding happens once: the remaining factor goes into the first step's
        // coefficients.
        int shift = Math.abs(exponent) <= EASY_EXPONENT ? 0 : Math.clamp(-exponent, -126, 126);
        rescale.exponent(shift);
        for (Stage stage : stages) {
            stage.prepare();
        }
        if (gramNorm == null) {
            firstStep.normalize(norm, shift);
        } else {
            gramNorm.shift(shift);
        }
    }

    /**
     * Whether a result cannot be one, because its singular values are above {@value #LARGEST} in root mean square: rounding can make small
     * eigenvalues of the Gram matrix negative and large ones larger, which the steps that follow a restart blow up. An iteration that
     * does not go by the Gram matrix has no {@link #fallback} and is never wrong in this way.
     *
     * @param sumOfSquares of {@link #output()}, NaN or infinite if it is not finite
     */
    public boolean isWrong(double sumOfSquares) {
        double largest = LARGEST * LARGEST * Math.min(rows, cols);
        return fallback != null && !(sumOfSquares <= largest);
    }

    /** Whether there is a {@link #fallback}. */
    public boolean hasFallback() {
        return fallback != null;
    }

    /**
     * The iteration that evaluates each step from X itself, for a result that {@link #isWrong is wrong}: U has to be written to its
     * {@link #input()} again. It shares this one's workspace.
     *
     * @throws IllegalStateException if this is such an iteration itself
     */
    public Iteration fallback() {
        if (fallback == null) {
            throw new IllegalStateException("an iteration by " + way + " has nothing to fall back to");
        }
        return fallback;
    }

    /** The number of stages. */
    public int stages() {
        return stages.length;
    }

    /** The number of tasks of a stage, which may be 0; asked after {@link #begin}. */
    public int tasks(int stage) {
        return stages[stage].tasks();
    }

    /** Runs one task of a stage on the calling worker. */
    public void run(int stage, int task, int worker) {
        stages[stage].run(task, worker);
    }

    /** Runs everything on the calling worker. */
    public void run(int worker) {
        for (Stage stage : stages) {
            int tasks = stage.tasks();
            for (int task = 0; task < tasks; task++) {
                stage.run(task, worker);
            }
        }
    }
}
