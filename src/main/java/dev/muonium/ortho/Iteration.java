package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Segments;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
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

    private Iteration(Binder binder) {
        this.precision = binder.precision;
        this.way = binder.way;
        this.rows = binder.rows;
        this.cols = binder.cols;
        this.input = binder.x;
        binder.bind();
        this.output = binder.x;
        this.rescale = binder.rescale;
        this.firstStep = binder.firstStep;
        this.gramNorm = binder.gramNorm;
        this.stages = binder.stages.toArray(Stage[]::new);
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
        long n = Math.min(rows, cols);
        int count = squareMatrices(spec.wayFor(rows, cols, precision));
        try {
            long squares = Math.multiplyExact(count, matrixBytes(n, n, precision));
            long scratch = precision == ElementType.F32 ? 0 : matrixBytes(n, n, ElementType.F32);
            long xs = Math.multiplyExact(2, matrixBytes(rows, cols, precision));
            return Math.addExact(xs, Math.addExact(squares, scratch));
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                    "the workspace of a Newton-Schulz iteration for " + rows + "×" + cols
                            + " has more bytes than a 64-bit count can hold; split the matrix",
                    e);
        }
    }

    private static long matrixBytes(long rows, long cols, ElementType type) {
        return aligned(Math.multiplyExact(Math.multiplyExact(rows, cols), type.byteSize()));
    }

    private static int squareMatrices(Way way) {
        return way instanceof Way.Gram ? 4 : 2;
    }

    private static long aligned(long bytes) {
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
        return new Iteration(new Binder(spec, device, rows, cols, workspace));
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
        if (gramNorm == null) {
            firstStep.normalize(norm, shift);
        } else {
            gramNorm.shift(shift);
        }
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

    /** Lays out the workspace and strings the stages together. */
    private static final class Binder {
        private final NewtonSchulz spec;
        private final Device device;
        private final ElementType precision;
        private final Way way;
        private final long rows;
        private final long cols;
        private final long n;
        private final boolean tall;
        private final MemorySegment workspace;
        private final Matrix[] squares;
        private final Matrix scratch;
        private final RescaleStage rescale;
        private final List<Stage> stages = new ArrayList<>();
        private final FirstStep firstStep;
        private @Nullable GramNorm gramNorm;
        private long used;
        private Matrix x;
        private Matrix spare;

        Binder(NewtonSchulz spec, Device device, long rows, long cols, MemorySegment workspace) {
            this.spec = spec;
            this.device = device;
            this.precision = spec.precisionOn(device);
            this.way = spec.wayFor(rows, cols, precision);
            this.rows = rows;
            this.cols = cols;
            this.n = Math.min(rows, cols);
            this.tall = rows > cols;
            this.workspace = workspace;
            this.x = take(precision, rows, cols);
            this.spare = take(precision, rows, cols);
            this.squares = new Matrix[squareMatrices(way)];
            for (int i = 0; i < squares.length; i++) {
                squares[i] = take(precision, n, n);
            }
            // In FP32 the square is gathered where the polynomial goes.
            this.scratch = precision == ElementType.F32 ? squares[1] : take(ElementType.F32, n, n);
            this.rescale = new RescaleStage(device.kernels(), x);
            this.firstStep = new FirstStep(spec);
        }

        private Matrix take(ElementType type, long matrixRows, long matrixCols) {
            long bytes = matrixRows * matrixCols * type.byteSize();
            Matrix matrix = new Matrix(workspace.asSlice(used, bytes), type, matrixRows, matrixCols);
            used += aligned(bytes);
            return matrix;
        }

        void bind() {
            stages.add(rescale);
            switch (way) {
                case Way.Plain plain -> stepByStep(false);
                case Way.Symmetric symmetric -> stepByStep(true);
                case Way.Gram gram -> gram(gram.restartAfter());
            }
        }

        /**
         * In BF16 the multiple of the identity becomes part of P: that saves a pass over X, and where {@code b·A} and {@code a·I}
         * nearly cancel, their sum has the smaller rounding error. In FP32 it stays apart, which keeps the noise in the null space of a
         * rank-deficient X below 1e-5.
         */
        private void stepByStep(boolean upper) {
            Matrix a = squares[0];
            Matrix p = squares[1];
            boolean isFirst = true;
            for (Coefficients coefficients : spec.schedule().steps()) {
                boolean withIdentity = precision == ElementType.BF16;
                gramMatrix(a, upper);
                if (isFirst) {
                    normalizeBy(a);
                }
                polynomial(coefficients, a, p, withIdentity, upper, isFirst);
                if (withIdentity) {
                    applyToX(p);
                } else {
                    applyToX(coefficients.a(), p, isFirst);
                }
                isFirst = false;
            }
        }

        private void gram(int restartAfter) {
            Matrix r = squares[0];
            Matrix z = squares[1];
            Matrix q = squares[2];
            Matrix t = squares[3];
            List<Coefficients> steps = spec.schedule().steps();
            for (int begin = 0; begin < steps.size(); begin += restartAfter) {
                int end = Math.min(begin + restartAfter, steps.size());
                gramMatrix(r, true);
                if (begin == 0) {
                    normalizeBy(r);
                }
                for (int step = begin; step < end; step++) {
                    polynomial(steps.get(step), r, z, true, true, step == 0);
                    if (step + 1 < end) {
                        symmetricProduct(r, z, t);
                        symmetricProduct(t, z, r);
                    }
                    Matrix product;
                    if (step == begin) {
                        product = z; // Q = I until here
                        z = q;
                    } else {
                        symmetricProduct(q, z, t);
                        product = t;
                        t = q;
                    }
                    q = product;
                }
                applyToX(q);
            }
        }

        /** {@code X·Xᵀ}, or {@code Xᵀ·X} of a tall X. */
        private void gramMatrix(Matrix out, boolean upper) {
            stages.add(ProductStage.square(device, x, tall, x, !tall, out, upper));
            mirror(out, upper);
        }

        /** Puts the norm of the first Gram matrix in place, where it is asked for. */
        private void normalizeBy(Matrix gram) {
            if (spec.norm() == NormConvention.GRAM) {
                gramNorm = new GramNorm(device.kernels(), gram, firstStep);
                stages.add(gramNorm.sums());
                stages.add(gramNorm.factor());
            }
        }

        private void polynomial(
                Coefficients coefficients, Matrix a, Matrix p, boolean withIdentity, boolean upper, boolean isFirst) {
            Matrix square = precision == ElementType.F32 ? p : scratch;
            PolynomialStage stage = new PolynomialStage(device, coefficients, a, square, p, withIdentity, upper);
            if (isFirst) {
                firstStep.add(stage);
            }
            stages.add(stage);
            mirror(p, upper);
        }

        /** Of two polynomials of one symmetric matrix, so that the product is symmetric. */
        private void symmetricProduct(Matrix left, Matrix right, Matrix out) {
            stages.add(ProductStage.square(device, left, false, right, false, out, true));
            mirror(out, true);
        }

        private void mirror(Matrix out, boolean upper) {
            if (upper) {
                stages.add(new MirrorStage(device.kernels(), out));
            }
        }

        /** {@code X ← P·X}, or {@code X·P} for a tall X. */
        private void applyToX(Matrix p) {
            stages.add(productWithX(p, false));
            swapX();
        }

        /** {@code X ← alpha·X + P·X}, or {@code alpha·X + X·P} for a tall X. */
        private void applyToX(double alpha, Matrix p, boolean isFirst) {
            SumStage stage = new SumStage(device.kernels(), alpha, x, productWithX(p, true));
            if (isFirst) {
                firstStep.add(stage);
            }
            stages.add(stage);
            swapX();
        }

        private ProductStage productWithX(Matrix p, boolean accumulate) {
            return tall
                    ? ProductStage.fromRight(device, x, p, spare, accumulate)
                    : ProductStage.fromLeft(device, p, x, spare, accumulate);
        }

        private void swapX() {
            Matrix updated = spare;
            spare = x;
            x = updated;
        }
    }
}
