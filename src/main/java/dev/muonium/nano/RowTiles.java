package dev.muonium.nano;

/**
 * How the rows (tokens) of a batch are cut into tasks. {@link Grain#TILES}: each sequence by itself into tiles of {@code tile} rows, the last of
 * which may be short; the borders depend on the context alone, so that neither the number of threads nor that of sequences changes a
 * result. {@link Grain#WHOLE}: all sequences are one tile.
 *
 * @param context rows of a sequence
 * @param span rows that are cut by themselves: a sequence, or a whole batch
 * @param tile rows of a tile
 */
record RowTiles(int context, int span, int tile) {
    /** Enough rows for a matrix product to reach its speed, few enough for what a tile touches to stay in the cache. */
    private static final int TARGET = 128;

    static RowTiles of(Grain grain, int context, int batch) {
        int span = grain == Grain.WHOLE ? batch * context : context;
        return new RowTiles(context, span, grain == Grain.WHOLE ? span : Math.min(TARGET, context));
    }

    private int perSpan() {
        return (span + tile - 1) / tile;
    }

    int tasks(int sequences) {
        return (sequences * context + span - 1) / span * perSpan();
    }

    long begin(int task) {
        return (long) (task / perSpan()) * span + (long) (task % perSpan()) * tile;
    }

    /** Rows of a task where that many sequences are worked on. */
    int rows(int task, int sequences) {
        long left = (long) sequences * context - begin(task);
        return (int) Math.min(Math.min(tile, span - task % perSpan() * tile), left);
    }

    /** The other number of rows that a task may have: of the short tile of a sequence, or of one sequence of a batch; 0 where there is none. */
    int tail() {
        return span == context ? context % tile : context;
    }
}
