package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;

/** In FP32, by the device's matrix products on dense matrices. */
final class DenseEvaluation extends Evaluation<Matrix> {
    private final Device device;
    private final boolean tall;
    private final MemorySegment workspace;
    private final Matrix input;
    private final Matrix[] squares;
    private final RescaleStage rescale;
    private long used;
    private Matrix x;
    private Matrix spare;

    DenseEvaluation(NewtonSchulz spec, Device device, long rows, long cols, Way way, MemorySegment workspace) {
        super(spec);
        this.device = device;
        this.tall = rows > cols;
        this.workspace = workspace;
        this.input = take(rows, cols);
        this.x = input;
        this.spare = take(rows, cols);
        this.squares = new Matrix[squareMatrices(spec, way)];
        long n = Math.min(rows, cols);
        for (int i = 0; i < squares.length; i++) {
            squares[i] = take(n, n);
        }
        this.rescale = new DenseRescale(device.kernels(), x);
        string(way);
    }

    /**
     * Bytes of workspace.
     *
     * @throws ArithmeticException if a 64-bit count cannot hold them
     */
    static long workspaceBytes(NewtonSchulz spec, long rows, long cols, Way way) {
        long n = Math.min(rows, cols);
        return Math.addExact(
                Math.multiplyExact(2, bytes(rows, cols)), Math.multiplyExact(squareMatrices(spec, way), bytes(n, n)));
    }

    private static long bytes(long rows, long cols) {
        return Iteration.aligned(Math.multiplyExact(Math.multiplyExact(rows, cols), (long) Float.BYTES));
    }

    private Matrix take(long rows, long cols) {
        Matrix matrix = new Matrix(workspace.asSlice(used, rows * cols * Float.BYTES), ElementType.F32, rows, cols);
        used += bytes(rows, cols);
        return matrix;
    }

    @Override
    Matrix input() {
        return input;
    }

    @Override
    Matrix output() {
        return x;
    }

    @Override
    RescaleStage rescale() {
        return rescale;
    }

    @Override
    Matrix square(int index) {
        return squares[index];
    }

    /** It keeps the noise in the null space of a rank-deficient X below 1e-5. */
    @Override
    boolean identityApart() {
        return true;
    }

    @Override
    void gramMatrix(Matrix out, boolean upper) {
        add(ProductStage.square(device, x, tall, x, !tall, out, upper));
        mirror(out, upper);
    }

    @Override
    void quintic(Coefficients coefficients, Matrix a, Matrix p, boolean withIdentity, boolean upper, boolean isFirst) {
        add(new PolynomialStage(device, coefficients, a, p, withIdentity, upper), isFirst);
        mirror(p, upper);
    }

    @Override
    void nonic(
            Coefficients of,
            Matrix a,
            Matrix p,
            Matrix s,
            Matrix w,
            boolean withIdentity,
            boolean upper,
            boolean isFirst) {
        add(ProductStage.square(device, a, false, a, false, s, upper));
        mirror(s, upper);
        add(
                new CombinationStage(
                        device.kernels(),
                        k -> of.ofScaled(k).c(),
                        k -> of.ofScaled(k).d(),
                        a,
                        k -> of.ofScaled(k).e(),
                        s,
                        w),
                isFirst);
        add(
                new CombinationStage(
                        device.kernels(),
                        k -> withIdentity ? of.ofScaled(k).a() : 0,
                        k -> of.ofScaled(k).b(),
                        a,
                        k -> 0,
                        a,
                        p),
                isFirst);
        add(ProductStage.addedSquare(device, s, w, p, upper));
        mirror(p, upper);
    }

    @Override
    GramNorm normOf(Matrix gram, FirstStep normalized) {
        return new GramNorm(device.kernels(), gram.segment(), ElementType.F32, gram.rows() * gram.cols(), normalized);
    }

    @Override
    void symmetricProduct(Matrix left, Matrix right, Matrix out) {
        add(ProductStage.square(device, left, false, right, false, out, true));
        mirror(out, true);
    }

    private void mirror(Matrix out, boolean upper) {
        if (upper) {
            add(new MirrorStage(device.kernels(), out));
        }
    }

    @Override
    void applyToX(Matrix p, boolean isLast) {
        add(productWithX(p, false));
        swapX();
    }

    @Override
    void applyStepToX(Coefficients coefficients, Matrix p, boolean isFirst, boolean isLast) {
        add(new SumStage(device.kernels(), coefficients.a(), x, productWithX(p, true)), isFirst);
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
