package dev.muonium.nano;

/**
 * How the rows (tokens) of a batch are cut into tasks: each sequence by itself into tiles of {@code tile} rows, the last of which may be short. The
 * borders depend on the context alone, so that neither the number of threads nor that of sequences changes a result.
 *
 * @param context rows of a sequence
 * @param tile rows of a tile
 */
record RowTiles(int context, int tile) {
    /** Enough rows for a matrix product to reach its speed, few enough for what a tile touches to stay in the cache. */
    private static final int TARGET = 128;

    static RowTiles of(int context) {
        return new RowTiles(context, Math.min(TARGET, context));
    }

    private int perSequence() {
        return (context + tile - 1) / tile;
    }

    int tasks(int sequences) {
        return sequences * perSequence();
    }

    long begin(int task) {
        return (long) (task / perSequence()) * context + (long) (task % perSequence()) * tile;
    }

    int rows(int task) {
        return Math.min(tile, context - task % perSequence() * tile);
    }

    /** Rows of the short tile of a sequence; 0 where there is none. */
    int tail() {
        return context % tile;
    }
}
