package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.device.Matmul;
import dev.muonium.device.MatmulSpec;
import java.lang.foreign.MemorySegment;

/** A matrix product whose result is cut into tiles (or is one), one task each; the borders depend on the shape alone. */
final class TiledProduct implements WeightGradient {
    private static final int MULTIPLE = 16;

    private final MatmulSpec whole;
    private final long tileRows;
    private final long tileCols;
    private final int down;
    private final int across;
    private final Matmul inner;
    private final Matmul right;
    private final Matmul bottom;
    private final Matmul corner;

    /**
     * @param whole the product that is cut
     * @param targetRows about how many rows a tile has at most
     * @param targetCols about how many columns a tile has at most
     */
    TiledProduct(Device device, Grain grain, MatmulSpec whole, long targetRows, long targetCols) {
        this.whole = whole;
        this.tileRows = grain == Grain.WHOLE ? whole.m() : evenTile(whole.m(), targetRows);
        this.tileCols = grain == Grain.WHOLE ? whole.n() : evenTile(whole.n(), targetCols);
        this.down = Math.toIntExact((whole.m() + tileRows - 1) / tileRows);
        this.across = Math.toIntExact((whole.n() + tileCols - 1) / tileCols);
        long lastRows = whole.m() - (down - 1) * tileRows;
        long lastCols = whole.n() - (across - 1) * tileCols;
        this.inner = device.matmul(tile(tileRows, tileCols));
        this.right = device.matmul(tile(tileRows, lastCols));
        this.bottom = device.matmul(tile(lastRows, tileCols));
        this.corner = device.matmul(tile(lastRows, lastCols));
    }

    /** The gradient of a matrix W of {@code outputs × inputs}: {@code dW += dYᵀ·X} over {@code rows} rows. */
    static TiledProduct weightGradient(
            Device device, Grain grain, Precision precision, long outputs, long inputs, long rows) {
        MatmulSpec whole =
                MatmulSpec.dense(precision.compute(), precision.gradients(), true, false, outputs, inputs, rows);
        return new TiledProduct(device, grain, whole.accumulating(), 128, 512);
    }

    /** The extent of equal tiles of at most about {@code target}, in whole vectors. */
    private static long evenTile(long extent, long target) {
        long parts = (extent + target - 1) / target;
        long even = (extent + parts - 1) / parts;
        return Math.min(extent, (even + MULTIPLE - 1) / MULTIPLE * MULTIPLE);
    }

    private MatmulSpec tile(long m, long n) {
        return new MatmulSpec(
                whole.aType(),
                whole.bType(),
                whole.cType(),
                whole.transA(),
                whole.transB(),
                m,
                n,
                whole.k(),
                whole.lda(),
                whole.ldb(),
                whole.ldc(),
                whole.accumulate());
    }

    @Override
    public int tasks() {
        return down * across;
    }

    @Override
    public void run(int task, int worker, MemorySegment a, MemorySegment b, MemorySegment c) {
        run(task, worker, a, 0, b, 0, c, 0);
    }

    void run(
            int task,
            int worker,
            MemorySegment a,
            long aBegin,
            MemorySegment b,
            long bBegin,
            MemorySegment c,
            long cBegin) {
        boolean last = task / across == down - 1;
        boolean rightmost = task % across == across - 1;
        long row = task / across * tileRows;
        long col = task % across * tileCols;
        Matmul matmul = last ? (rightmost ? corner : bottom) : (rightmost ? right : inner);
        matmul.run(
                worker,
                a,
                aBegin + (whole.transA() ? row : row * whole.lda()),
                b,
                bBegin + (whole.transB() ? col * whole.ldb() : col),
                c,
                cBegin + row * whole.ldc() + col);
    }
}
