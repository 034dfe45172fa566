package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/**
 * A matrix product whose result is cut into tiles, one task of {@link Workers#run} each. The borders depend on the shape and the wanted extents alone, so
 * the result has the same bits for any number of workers.
 *
 * <p>Thread-safe as {@link Matmul} is: different workers may run different tiles at the same time. Belongs to its device.
 */
public final class TiledProduct {
    /** For a wanted extent: not cut. */
    public static final long WHOLE = Long.MAX_VALUE;

    /** What a tile's extent is a multiple of, but for the last one's. */
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

    private TiledProduct(Device device, MatmulSpec whole, long targetRows, long targetCols) {
        this.whole = whole;
        this.tileRows = evenTile(whole.m(), targetRows);
        this.tileCols = evenTile(whole.n(), targetCols);
        this.down = Math.toIntExact((whole.m() + tileRows - 1) / tileRows);
        this.across = Math.toIntExact((whole.n() + tileCols - 1) / tileCols);
        long lastRows = whole.m() - (down - 1) * tileRows;
        long lastCols = whole.n() - (across - 1) * tileCols;
        this.inner = device.matmul(tile(tileRows, tileCols));
        this.right = device.matmul(tile(tileRows, lastCols));
        this.bottom = device.matmul(tile(lastRows, tileCols));
        this.corner = device.matmul(tile(lastRows, lastCols));
    }

    /**
     * Cuts a product.
     *
     * @param whole the product that is cut
     * @param targetRows about how many rows a tile has at most, from 1 on; {@link #WHOLE} for all
     * @param targetCols about how many columns a tile has at most
     * @throws UnsupportedOperationException if the device cannot multiply such types, with the reason
     */
    public static TiledProduct of(Device device, MatmulSpec whole, long targetRows, long targetCols) {
        if (targetRows < 1 || targetCols < 1) {
            throw new IllegalArgumentException(
                    "tiles of " + targetRows + "×" + targetCols + " are wanted; both must be at least 1");
        }
        return new TiledProduct(device, whole, targetRows, targetCols);
    }

    /** The same on a CPU; one tile on a device that divides the work of a product itself. */
    public static TiledProduct forWorkersOf(Device device, MatmulSpec whole, long targetRows, long targetCols) {
        return device.memory().isHost() ? of(device, whole, targetRows, targetCols) : of(device, whole, WHOLE, WHOLE);
    }

    /** The extent of equal tiles of at most about {@code target}, in whole vectors. */
    private static long evenTile(long extent, long target) {
        if (target >= extent) {
            return extent;
        }
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

    /** How many tiles there are. */
    public int tasks() {
        return down * across;
    }

    /** The first row of a tile. */
    public long firstRow(int task) {
        return task / across * tileRows;
    }

    /** The row behind the last one of a tile. */
    public long endRow(int task) {
        return Math.min(firstRow(task) + tileRows, whole.m());
    }

    /** Computes a tile, of matrices that begin where their segments do; see {@link Matmul#run}. */
    public void run(int task, int worker, MemorySegment a, MemorySegment b, MemorySegment c) {
        run(task, worker, a, 0, b, 0, c, 0);
    }

    /**
     * Computes a tile; see {@link Matmul#run}.
     *
     * @param aBegin where the whole A begins in its segment, in elements; {@code bBegin} and {@code cBegin} likewise
     */
    public void run(
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
        long row = firstRow(task);
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
