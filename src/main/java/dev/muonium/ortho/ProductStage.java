package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import java.util.ArrayList;
import java.util.List;

/** {@code C ← op(A)·op(B)}, or {@code C ← op(A)·op(B) + C}, by tiles. */
final class ProductStage implements Stage {
    /** Rows of a panel of a square product. */
    static final long PANEL = 128;
    /** Columns or rows of X that one task multiplies by the small matrix. */
    static final long STRIP = 512;

    private final Matrix a;
    private final Matrix b;
    private final Matrix c;
    private final Tile[] tiles;

    private ProductStage(Matrix a, Matrix b, Matrix c, List<Tile> tiles) {
        this.a = a;
        this.b = b;
        this.c = c;
        this.tiles = tiles.toArray(Tile[]::new);
    }

    /**
     * A product of n × n that is known to be symmetric, in panels of rows.
     *
     * @param transA whether A is stored as {@code k × n}
     * @param transB whether B is stored as {@code n × k}
     * @param upper whether only the columns from each panel's first row on are computed
     */
    static ProductStage square(
            Device device, Matrix a, boolean transA, Matrix b, boolean transB, Matrix c, boolean upper) {
        return square(device, a, transA, b, transB, c, upper, false);
    }

    /** {@code C ← A·B + C} for symmetric n × n matrices whose product is symmetric. */
    static ProductStage addedSquare(Device device, Matrix a, Matrix b, Matrix c, boolean upper) {
        return square(device, a, false, b, false, c, upper, true);
    }

    private static ProductStage square(
            Device device,
            Matrix a,
            boolean transA,
            Matrix b,
            boolean transB,
            Matrix c,
            boolean upper,
            boolean accumulate) {
        long n = c.rows();
        long k = transA ? a.rows() : a.cols();
        List<Tile> tiles = new ArrayList<>();
        for (long row = 0; row < n; row += PANEL) {
            long col = upper ? row : 0;
            MatmulSpec spec = new MatmulSpec(
                    a.type(),
                    b.type(),
                    c.type(),
                    transA,
                    transB,
                    Math.min(PANEL, n - row),
                    n - col,
                    k,
                    a.cols(),
                    b.cols(),
                    c.cols(),
                    accumulate);
            tiles.add(new Tile(
                    device.matmul(spec),
                    transA ? row : row * a.cols(),
                    transB ? col * b.cols() : col,
                    row * c.cols() + col));
        }
        return new ProductStage(a, b, c, tiles);
    }

    /** {@code C ← S·X (+ C)} for an n × n matrix S and a wide X, in strips of columns. */
    static ProductStage fromLeft(Device device, Matrix s, Matrix x, Matrix c, boolean accumulate) {
        List<Tile> tiles = new ArrayList<>();
        for (long col = 0; col < x.cols(); col += STRIP) {
            long width = Math.min(STRIP, x.cols() - col);
            MatmulSpec spec = MatmulSpec.dense(s.type(), c.type(), false, false, s.rows(), width, s.cols())
                    .leading(s.cols(), x.cols(), c.cols());
            tiles.add(new Tile(device.matmul(accumulate ? spec.accumulating() : spec), 0, col, col));
        }
        return new ProductStage(s, x, c, tiles);
    }

    /** {@code C ← X·S (+ C)} for a tall X and an n × n matrix S, in strips of rows. */
    static ProductStage fromRight(Device device, Matrix x, Matrix s, Matrix c, boolean accumulate) {
        List<Tile> tiles = new ArrayList<>();
        for (long row = 0; row < x.rows(); row += STRIP) {
            long height = Math.min(STRIP, x.rows() - row);
            MatmulSpec spec = MatmulSpec.dense(x.type(), c.type(), false, false, height, s.cols(), s.rows());
            tiles.add(new Tile(
                    device.matmul(accumulate ? spec.accumulating() : spec), row * x.cols(), 0, row * c.cols()));
        }
        return new ProductStage(x, s, c, tiles);
    }

    Matrix result() {
        return c;
    }

    Tile tile(int task) {
        return tiles[task];
    }

    @Override
    public int tasks() {
        return tiles.length;
    }

    @Override
    public void run(int task, int worker) {
        Tile tile = tiles[task];
        tile.product()
                .run(worker, a.segment(), tile.aOffset(), b.segment(), tile.bOffset(), c.segment(), tile.cOffset());
    }
}
