package dev.muonium.jmh;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.zip.GZIPInputStream;

/** The bytes of a text, of which the last twentieth is held out. */
final class DjlText {
    private final byte[] bytes;
    private final int context;
    private final int split;

    /** @param context bytes that the next one is told from */
    DjlText(Path gzip, int context) throws IOException {
        try (InputStream in = new GZIPInputStream(Files.newInputStream(gzip))) {
            this.bytes = in.readAllBytes();
        }
        this.context = context;
        this.split = bytes.length - bytes.length / 20;
    }

    /**
     * Windows and the bytes behind them.
     *
     * @param windows row by row, as many rows as next bytes
     */
    record Batch(int[] windows, int[] next) {}

    /** A batch for training; the same number gives the same one. */
    Batch training(int number, int size) {
        return batch(new Random(number), size, 0, split);
    }

    /** A batch of what is held out. */
    Batch heldOut(int number, int size) {
        return batch(new Random(1_000_000L + number), size, split, bytes.length);
    }

    private Batch batch(Random random, int size, int from, int to) {
        int[] windows = new int[size * context];
        int[] next = new int[size];
        for (int row = 0; row < size; row++) {
            int begin = from + random.nextInt(to - from - context);
            for (int i = 0; i < context; i++) {
                windows[row * context + i] = Byte.toUnsignedInt(bytes[begin + i]);
            }
            next[row] = Byte.toUnsignedInt(bytes[begin + context]);
        }
        return new Batch(windows, next);
    }
}
