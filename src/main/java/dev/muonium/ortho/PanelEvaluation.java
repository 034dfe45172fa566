package dev.muonium.ortho;

import dev.muonium.device.Kernels;
import dev.muonium.device.PanelProduct;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * In bf16, by products of matrices in panels ({@link PanelProduct}). X is kept twice, as n × m for its Gram matrix and as m × n for
 * the products with the small matrices, where m is the longer side; whatever computes X writes both. U arrives, and the result
 * leaves, as a dense matrix.
 *
 * <p>Three places for X: one holds the n × m, the other two take turns holding the m × n that is read and the one that is written.
 * U comes into one of these, and the dense result goes into the one that is free in the end.
 */
final class PanelEvaluation extends Evaluation<MemorySegment> {
    private final Kernels kernels;
    private final long rows;
    private final long cols;
    private final long n;
    private final long m;
    private final MemorySegment workspace;
    private final Matrix input;
    private final MemorySegment byShort;
    private final MemorySegment[] squares;
    private final RescaleStage rescale;
    private long used;
    private MemorySegment byLong;
    private MemorySegment spare;
    private MemorySegment records;

    PanelEvaluation(NewtonSchulz spec, Kernels kernels, long rows, long cols, Way way, MemorySegment workspace) {
        super(spec);
        this.kernels = kernels;
        this.rows = rows;
        this.cols = cols;
        this.n = Math.min(rows, cols);
        this.m = Math.max(rows, cols);
        this.workspace = workspace;
        this.spare = take(bytes(m, n));
        this.byLong = take(bytes(m, n));
        this.byShort = take(bytes(n, m));
        this.squares = new MemorySegment[squareMatrices(spec, way)];
        for (int i = 0; i < squares.length; i++) {
            squares[i] = take(bytes(n, n));
        }
        this.records = atEight(take(recordBytes(spec, way)));
        this.input = dense(spare);
        boolean tall = rows > cols;
        this.rescale = new PackStage(kernels, input, tall ? byLong : byShort, tall ? byShort : byLong);
        string(way);
    }

    /**
     * Bytes of workspace.
     *
     * @throws ArithmeticException if a 64-bit count cannot hold them
     */
    static long workspaceBytes(NewtonSchulz spec, long rows, long cols, Way way) {
        long n = Math.min(rows, cols);
        long m = Math.max(rows, cols);
        long xs = Math.addExact(Math.multiplyExact(2, bytes(m, n)), bytes(n, m));
        long small = Math.multiplyExact(squareMatrices(spec, way), bytes(n, n));
        return Math.addExact(Math.addExact(xs, small), recordBytes(spec, way));
    }

    private static long bytes(long rows, long depth) {
        return Iteration.aligned(Math.multiplyExact(PanelProduct.elements(rows, depth), (long) Short.BYTES));
    }

    /** For five products per step and two per restart at most in the Gram iteration, five per step otherwise. */
    private static long recordBytes(NewtonSchulz spec, Way way) {
        long products = spec.schedule().steps().size() * (way instanceof Way.Gram ? 7L : 5L);
        return Iteration.aligned(products * PanelProduct.bytes() + Long.BYTES);
    }

    /** A workspace need be aligned to 4 bytes only. */
    private static MemorySegment atEight(MemorySegment place) {
        return place.asSlice(-place.address() & (Long.BYTES - 1));
    }

    private MemorySegment take(long bytes) {
        MemorySegment part = workspace.asSlice(used, bytes);
        used += bytes;
        return part;
    }

    private MemorySegment nextRecord() {
        MemorySegment record = records;
        records = records.asSlice(PanelProduct.bytes());
        return record;
    }

    /** What fills up panels leaves room for a dense matrix. */
    private Matrix dense(MemorySegment place) {
        return new Matrix(place.asSlice(0, rows * cols * Short.BYTES), ElementType.BF16, rows, cols);
    }

    @Override
    Matrix input() {
        return input;
    }

    @Override
    Matrix output() {
        return dense(byLong);
    }

    @Override
    RescaleStage rescale() {
        return rescale;
    }

    @Override
    MemorySegment square(int index) {
        return squares[index];
    }

    /** Where {@code b·A} and {@code a·I} nearly cancel, their sum has the smaller rounding error, and a pass over X is saved. */
    @Override
    boolean identityApart() {
        return false;
    }

    @Override
    void gramMatrix(MemorySegment out, boolean upper) {
        add(new PanelStage(kernels, product(byShort, byShort, m, null, out, upper), upper));
    }

    @Override
    void quintic(
            Coefficients of, MemorySegment a, MemorySegment p, boolean withIdentity, boolean upper, boolean isFirst) {
        PanelProduct product = product(a, a, n, a, p, upper);
        add(new PanelStage(kernels, product, upper, of, k -> product.coefficients(k.a(), k.b(), k.c())), isFirst);
    }

    /** S and its factor come from the same sums where only the upper triangle is computed. */
    @Override
    void nonic(
            Coefficients of,
            MemorySegment a,
            MemorySegment p,
            MemorySegment s,
            MemorySegment w,
            boolean withIdentity,
            boolean upper,
            boolean isFirst) {
        PanelProduct square = product(a, a, n, a, s, upper);
        square.coefficients(0, 0, 1);
        if (upper) {
            square.second(w);
            add(
                    new PanelStage(kernels, square, true, of, k -> square.secondCoefficients(k.c(), k.d(), k.e())),
                    isFirst);
        } else {
            add(new PanelStage(kernels, square, false));
            PanelProduct factor = product(a, a, n, a, w, false);
            add(new PanelStage(kernels, factor, false, of, k -> factor.coefficients(k.c(), k.d(), k.e())), isFirst);
        }
        PanelProduct product = product(s, w, n, a, p, upper);
        add(new PanelStage(kernels, product, upper, of, k -> product.coefficients(k.a(), k.b(), 1)), isFirst);
    }

    @Override
    GramNorm normOf(MemorySegment gram, FirstStep normalized) {
        return new GramNorm(kernels, gram, ElementType.BF16, PanelProduct.elements(n, n), normalized);
    }

    @Override
    void symmetricProduct(MemorySegment left, MemorySegment right, MemorySegment out) {
        add(new PanelStage(kernels, product(left, right, n, null, out, true), true));
    }

    private PanelProduct product(
            MemorySegment a, MemorySegment b, long depth, @Nullable MemorySegment d, MemorySegment c, boolean upper) {
        return upper
                ? PanelProduct.symmetric(nextRecord(), a, b, n, depth, d, c)
                : PanelProduct.full(nextRecord(), a, b, n, depth, d, c);
    }

    @Override
    void applyToX(MemorySegment p, boolean isLast) {
        add(new PanelStage(kernels, isLast ? last(p) : next(p), false));
        MemorySegment written = spare;
        spare = byLong;
        byLong = written;
    }

    private PanelProduct next(MemorySegment p) {
        return PanelProduct.intoPanels(nextRecord(), byLong, p, m, n, n, spare, byShort);
    }

    /** P is symmetric: {@code Xᵀ·P} is the transpose of {@code P·X}. */
    private PanelProduct last(MemorySegment p) {
        MemorySegment out = dense(spare).segment();
        return rows > cols
                ? PanelProduct.intoDense(nextRecord(), byLong, p, m, n, n, out)
                : PanelProduct.intoDense(nextRecord(), p, byLong, n, m, n, out);
    }

    @Override
    void applyStepToX(Coefficients coefficients, MemorySegment p, boolean isFirst, boolean isLast) {
        applyToX(p, isLast);
    }
}
