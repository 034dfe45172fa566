package dev.muonium.ortho;

import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.mu.mu_newton_schulz_start;
import dev.muonium.device.BatchKernels;
import dev.muonium.device.BatchedMatmul;
import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A Newton-Schulz iteration for a number of matrices of one shape, all at a time: what {@link Iteration} is for one matrix and
 * many workers, this is for a GPU. It computes the same polynomials, in few and large launches, and nothing comes back to the
 * host: the norms are read where they lie, so that all of it can be recorded.
 *
 * <p>Use: write each U densely to {@link #input}, {@link #stride} elements apart, and call {@link #enqueue}; then
 * {@link #output} holds the results in the same arrangement. Nothing is allocated after {@link #bind}. Not thread-safe.
 *
 * <p>The workspace is the caller's, so that iterations that run one after the other can share it; what this owns is a few
 * numbers for each matrix. Close it before its device.
 */
public final class BatchedNewtonSchulz implements AutoCloseable {
    /** Of every matrix in the workspace: what a GPU's own allocations are aligned to, for the widest loads of any kernel. */
    private static final long ALIGNMENT = 256;

    private final Device device;
    private final NewtonSchulz spec;
    private final ElementType precision;
    private final Way way;
    private final long count;
    private final Stack input;
    private final Stack output;
    private final CoefficientTable coefficients;
    private final Tensor start;
    private final List<Runnable> launches;

    private BatchedNewtonSchulz(
            NewtonSchulz spec,
            Device device,
            SquareProducts squares,
            long rows,
            long cols,
            long count,
            MemorySegment workspace) {
        this.device = device;
        this.spec = spec;
        this.precision = spec.precisionOn(device);
        this.way = spec.wayFor(rows, cols, precision);
        this.count = count;
        this.coefficients = new CoefficientTable(device, spec.schedule(), count);
        try {
            this.start = startOf(device, spec);
        } catch (RuntimeException e) {
            coefficients.close();
            throw e;
        }
        try {
            Binder binder = new Binder(squares, rows, cols, workspace);
            this.input = binder.x;
            binder.bind();
            this.output = binder.x;
            this.launches = List.copyOf(binder.launches);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** Read by the host whenever the beginning is put into the stream. */
    private static Tensor startOf(Device device, NewtonSchulz spec) {
        int convention = convention(spec.norm());
        Tensor start = device.memory()
                .allocateStaging(
                        Purpose.OPTIMIZER_WORKSPACE,
                        "start of Newton-Schulz",
                        ElementType.F64,
                        Shape.of(mu_newton_schulz_start.sizeof() / Double.BYTES));
        MemorySegment record = start.segment();
        Coefficients first = spec.schedule().steps().getFirst();
        mu_newton_schulz_start.a(record, first.a());
        mu_newton_schulz_start.b(record, first.b());
        mu_newton_schulz_start.c(record, first.c());
        mu_newton_schulz_start.norm_factor(record, spec.schedule().normFactor());
        mu_newton_schulz_start.epsilon(record, spec.epsilon());
        mu_newton_schulz_start.convention(record, convention);
        return start;
    }

    private static int convention(NormConvention norm) {
        return switch (norm) {
            case ADD_EPSILON -> Muonium.MU_NORM_ADD_EPSILON();
            case MAX_EPSILON -> Muonium.MU_NORM_MAX_EPSILON();
            case GRAM ->
                throw new IllegalArgumentException(
                        "Newton-Schulz for many matrices at a time, as on a GPU, cannot divide by the norm of the Gram"
                                + " matrix, which it does not have when it begins; take NormConvention.ADD_EPSILON or"
                                + " MAX_EPSILON");
        };
    }

    /**
     * Bytes of workspace that each matrix of {@code rows × cols} needs on a device, a multiple of 256; n matrices need n times as
     * many.
     *
     * @throws IllegalArgumentException if a side is below 1, or a 64-bit count cannot hold them
     */
    public static long workspaceBytes(NewtonSchulz spec, Device device, long rows, long cols) {
        return workspaceBytes(spec, spec.precisionOn(device), rows, cols);
    }

    /** The same for iterates of a given precision, without a device. */
    public static long workspaceBytes(NewtonSchulz spec, ElementType precision, long rows, long cols) {
        Shape.of(rows, cols);
        long n = Math.min(rows, cols);
        try {
            long squares = Math.multiplyExact(
                    Evaluation.squareMatrices(spec, spec.wayFor(rows, cols, precision)), matrixBytes(n, n, precision));
            return Math.addExact(Math.multiplyExact(2, matrixBytes(rows, cols, precision)), squares);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                    "the workspace of a Newton-Schulz iteration for " + rows + "×" + cols
                            + " has more bytes than a 64-bit count can hold; split the matrix",
                    e);
        }
    }

    private static long matrixBytes(long rows, long cols, ElementType type) {
        long bytes = Math.multiplyExact(Math.multiplyExact(rows, cols), (long) type.byteSize());
        return Math.addExact(bytes, ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /**
     * Prepares an iteration, with the symmetric products that {@value SquareProducts#PROPERTY} names.
     *
     * @param count the number of matrices, at least 1
     * @param workspace memory of the device, of at least {@code count} times {@link #workspaceBytes}, aligned to 4 bytes (256 are
     *     faster), which the caller owns; its contents are overwritten
     * @throws IllegalArgumentException if the workspace is too small or not the device's, or the norm is {@link NormConvention#GRAM}
     * @throws UnsupportedOperationException if the device cannot multiply matrices of the precision that was asked for
     */
    public static BatchedNewtonSchulz bind(
            NewtonSchulz spec, Device device, long rows, long cols, long count, MemorySegment workspace) {
        return bind(spec, device, SquareProducts.ofProperty(), rows, cols, count, workspace);
    }

    /** As {@link #bind(NewtonSchulz, Device, long, long, long, MemorySegment)}, with symmetric products of the caller's choice. */
    public static BatchedNewtonSchulz bind(
            NewtonSchulz spec,
            Device device,
            SquareProducts squares,
            long rows,
            long cols,
            long count,
            MemorySegment workspace) {
        if (count < 1 || count > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("a Newton-Schulz iteration is for " + count + " matrices of " + rows
                    + "×" + cols + "; it must be for 1 to " + Integer.MAX_VALUE);
        }
        long bytes = workspaceBytes(spec, device, rows, cols);
        device.memory()
                .requireWritable(
                        "the workspace of a Newton-Schulz iteration for " + count + " of " + rows + "×" + cols,
                        workspace,
                        ElementType.F32,
                        bytes > Long.MAX_VALUE / count ? Long.MAX_VALUE : bytes * count / Float.BYTES);
        return new BatchedNewtonSchulz(spec, device, squares, rows, cols, count, workspace);
    }

    /** Where the first U goes. */
    public MemorySegment input() {
        return input.segment();
    }

    /** Where the first result is afterwards. May be {@link #input}. */
    public MemorySegment output() {
        return output.segment();
    }

    /** Elements from one U, and one result, to the next. */
    public long stride() {
        return input.stride();
    }

    /** The number of matrices. */
    public long count() {
        return count;
    }

    /** The element type of input and output. */
    public ElementType precision() {
        return precision;
    }

    /** The way of evaluating. */
    public Way way() {
        return way;
    }

    /** Bytes of device memory beside the workspace. */
    public long ownBytes() {
        return coefficients.byteSize() + start.byteSize();
    }

    /**
     * Starts the iteration on what lies in {@link #input}; it is not done when this returns on a GPU.
     *
     * @param sums doubles in the device's memory, {@code sumsPerMatrix} for each matrix, which add up to its squared Frobenius
     *     norm; finite
     * @param step a {@code mu_step} in the device's memory, or null. Where it says that the step is left out, the results mean nothing
     */
    public void enqueue(MemorySegment sums, long sumsPerMatrix, @Nullable MemorySegment step) {
        device.batchKernels()
                .newtonSchulzBegin(
                        start.segment(),
                        input.segment(),
                        precision,
                        input.elements(),
                        input.stride(),
                        count,
                        sums,
                        sumsPerMatrix,
                        coefficients.withIdentity(0),
                        step);
        for (Runnable launch : launches) {
            launch.run();
        }
    }

    /** Frees what it owns, and not the workspace. A second call does nothing. */
    @Override
    public void close() {
        coefficients.close();
        start.close();
    }

    /** Lays out the workspace and strings the launches together. */
    private final class Binder {
        private final BatchKernels kernels = device.batchKernels();
        private final DeviceMemory memory = device.memory();
        private final SquareProducts policy;
        private final long n;
        private final boolean tall;
        private final MemorySegment workspace;
        private final Stack[] squares;
        private final List<Runnable> launches = new ArrayList<>();
        private long used;
        private Stack x;
        private Stack spare;

        Binder(SquareProducts policy, long rows, long cols, MemorySegment workspace) {
            this.policy = policy;
            this.n = Math.min(rows, cols);
            this.tall = rows > cols;
            this.workspace = workspace;
            this.x = take(rows, cols);
            this.spare = take(rows, cols);
            this.squares = new Stack[Evaluation.squareMatrices(spec, way)];
            for (int i = 0; i < squares.length; i++) {
                squares[i] = take(n, n);
            }
        }

        private Stack take(long rows, long cols) {
            long bytes = matrixBytes(rows, cols, precision);
            MemorySegment segment = memory.slice(workspace, used, count * bytes);
            used += count * bytes;
            return new Stack(segment, precision, rows, cols, bytes / precision.byteSize());
        }

        void bind() {
            switch (way) {
                case Way.Plain plain -> stepByStep(new SquareProducts.Full());
                case Way.Symmetric symmetric -> stepByStep(policy);
                case Way.Gram gram -> gram(gram.first(), gram.then());
            }
        }

        /** In FP32 the multiple of the identity stays out of P, as in {@link Iteration}. */
        private void stepByStep(SquareProducts products) {
            Stack a = squares[0];
            Stack p = squares[1];
            boolean withIdentity = precision == ElementType.BF16;
            if (!withIdentity) {
                launches.add(this::splitFirst);
            }
            for (int step = 0; step < spec.schedule().steps().size(); step++) {
                square(products, x, tall, x, !tall, a);
                if (coefficients.isQuintic(step)) {
                    quintic(step, a, p, withIdentity);
                } else {
                    nonic(step, a, p, squares[2], squares[3], withIdentity);
                }
                if (withIdentity) {
                    applyToX(p);
                } else {
                    applyToX(step, p);
                }
            }
        }

        /** {@code (0, b, c)} of the first step, from what the device found for {@code (a, b, c)}. */
        private void splitFirst() {
            kernels.scale(
                    coefficients.one(),
                    0,
                    coefficients.firstPair(),
                    coefficients.stride(0),
                    coefficients.firstPairApart(),
                    coefficients.stride(0),
                    ElementType.F32,
                    2,
                    count);
        }

        private void gram(int first, int then) {
            Stack r = squares[0];
            Stack z = squares[1];
            Stack q = squares[2];
            Stack t = squares[3];
            int steps = spec.schedule().steps().size();
            int end;
            for (int begin = 0; begin < steps; begin = end) {
                end = Math.min(begin + (begin == 0 ? first : then), steps);
                square(policy, x, tall, x, !tall, r);
                for (int step = begin; step < end; step++) {
                    if (coefficients.isQuintic(step)) {
                        quintic(step, r, z, true);
                    } else {
                        nonic(step, r, z, t, squares[4], true);
                    }
                    if (step + 1 < end) {
                        square(policy, r, false, z, false, t);
                        square(policy, t, false, z, false, r);
                    }
                    Stack product;
                    if (step == begin) {
                        product = z; // Q = I until here
                        z = q;
                    } else {
                        square(policy, q, false, z, false, t);
                        product = t;
                        t = q;
                    }
                    q = product;
                }
                applyToX(q);
            }
        }

        /** {@code P ← a·I + b·A + c·A²} or, without the identity, {@code b·A + c·A²}, rounded once. */
        private void quintic(int step, Stack a, Stack p, boolean withIdentity) {
            MemorySegment three = withIdentity ? coefficients.withIdentity(step) : coefficients.apart(step);
            symmetric(a, false, a, a, p, three, coefficients.stride(step));
        }

        /** {@code P ← b·A + S·W}, with {@code a·I} or without, for {@code S = A²} and {@code W = c·I + d·A + e·A²}. */
        private void nonic(int step, Stack a, Stack p, Stack s, Stack w, boolean withIdentity) {
            symmetric(a, false, a, null, s, coefficients.product(), 0);
            symmetric(a, false, a, a, w, coefficients.factor(step), 0);
            symmetric(s, false, w, a, p, withIdentity ? coefficients.withIdentity(step) : coefficients.apart(step), 0);
        }

        /** {@code C ← op(A)·op(B)}, which is symmetric; B is a symmetric matrix, or A itself transposed. */
        private void square(SquareProducts products, Stack a, boolean transA, Stack b, boolean transB, Stack c) {
            switch (products) {
                case SquareProducts.HalfWork half -> symmetric(a, transA, b, null, c, coefficients.product(), 0);
                case SquareProducts.Full full -> panels(1, a, transA, b, transB, c);
                case SquareProducts.Panels panels -> {
                    panels(panels.panels(), a, transA, b, transB, c);
                    launches.add(() -> mirror(c));
                }
            }
        }

        private void symmetric(
                Stack a,
                boolean transposed,
                Stack b,
                @Nullable Stack d,
                Stack c,
                MemorySegment three,
                long threeStride) {
            long k = transposed ? a.rows() : a.cols();
            launches.add(() -> kernels.symmetricProduct(
                    precision,
                    transposed,
                    n,
                    k,
                    a.segment(),
                    a.cols(),
                    a.stride(),
                    b.segment(),
                    b.cols(),
                    b.stride(),
                    d == null ? null : d.segment(),
                    d == null ? 0 : d.cols(),
                    d == null ? 0 : d.stride(),
                    c.segment(),
                    c.cols(),
                    c.stride(),
                    three,
                    threeStride,
                    count));
        }

        /** Panels of rows whose borders are multiples of the widest tiles, each from its first row's diagonal to the right. */
        private void panels(int wanted, Stack a, boolean transA, Stack b, boolean transB, Stack c) {
            long height = (n + wanted - 1) / wanted;
            height = wanted == 1 ? n : (height + 127) / 128 * 128;
            long k = transA ? a.rows() : a.cols();
            for (long begin = 0; begin < n; begin += height) {
                long row = begin;
                MatmulSpec spec = new MatmulSpec(
                        precision,
                        precision,
                        precision,
                        transA,
                        transB,
                        Math.min(height, n - row),
                        n - row,
                        k,
                        a.cols(),
                        b.cols(),
                        c.cols(),
                        false);
                BatchedMatmul product = device.batchedMatmul(spec, count, a.stride(), b.stride(), c.stride());
                long aOffset = transA ? row : row * a.cols();
                long bOffset = transB ? row * b.cols() : row;
                launches.add(() ->
                        product.run(a.segment(), aOffset, b.segment(), bOffset, c.segment(), row * c.cols() + row));
            }
        }

        private void mirror(Stack c) {
            for (long i = 0; i < count; i++) {
                long bytes = c.stride() * precision.byteSize();
                device.kernels().mirrorUpper(memory.slice(c.segment(), i * bytes, bytes), precision, c.cols(), 0, n);
            }
        }

        /** {@code X ← P·X}, or {@code X·P} for a tall X. */
        private void applyToX(Stack p) {
            productWithX(p, false);
            swapX();
        }

        /** {@code X ← a·X + P·X}, or {@code a·X + X·P} for a tall X. */
        private void applyToX(int step, Stack p) {
            Stack from = x;
            Stack to = spare;
            MemorySegment alpha = coefficients.withIdentity(step);
            launches.add(() -> kernels.scale(
                    alpha,
                    coefficients.stride(step),
                    from.segment(),
                    from.stride(),
                    to.segment(),
                    to.stride(),
                    precision,
                    from.elements(),
                    count));
            productWithX(p, true);
            swapX();
        }

        private void productWithX(Stack p, boolean accumulate) {
            Stack left = tall ? x : p;
            Stack right = tall ? p : x;
            Stack to = spare;
            MatmulSpec spec =
                    MatmulSpec.dense(precision, precision, false, false, left.rows(), right.cols(), left.cols());
            BatchedMatmul product = device.batchedMatmul(
                    accumulate ? spec.accumulating() : spec, count, left.stride(), right.stride(), to.stride());
            launches.add(() -> product.run(left.segment(), 0, right.segment(), 0, to.segment(), 0));
        }

        private void swapX() {
            Stack updated = spare;
            spare = x;
            x = updated;
        }
    }
}
