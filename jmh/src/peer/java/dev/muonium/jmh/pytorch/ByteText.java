package dev.muonium.jmh.pytorch;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.function.LongUnaryOperator;
import java.util.zip.GZIPInputStream;
import org.bytedeco.pytorch.Tensor;

/** A text as bytes: some in a row, and the one that follows them. The last tenth is held out. */
final class ByteText {
    private static final double TRAINING_PART = 0.9;

    private final byte[] bytes;
    private final int context;
    private final int split;

    private ByteText(byte[] bytes, int context) {
        this.bytes = bytes;
        this.context = context;
        this.split = (int) (bytes.length * TRAINING_PART);
    }

    static ByteText read(Path gzipped, int context) throws IOException {
        try (InputStream in = new GZIPInputStream(Files.newInputStream(gzipped))) {
            return new ByteText(in.readAllBytes(), context);
        }
    }

    /** Rows of bytes and what follows each. */
    record Batch(Tensor rows, Tensor next) {}

    /** The batch of a step, from places that the step's number determines. */
    Batch training(long step, int size) {
        Random random = new Random(step * 0x9E3779B97F4A7C15L);
        return batch(size, row -> random.nextInt(split - context));
    }

    /** Held-out rows, which lie evenly over their part. */
    Batch heldOut(int index, int count, int size) {
        long places = bytes.length - split - context - 1L;
        return batch(size, row -> split + (index * (long) size + row) * places / ((long) count * size));
    }

    private Batch batch(int size, LongUnaryOperator place) {
        long[] rows = new long[size * context];
        long[] next = new long[size];
        for (int row = 0; row < size; row++) {
            int begin = Math.toIntExact(place.applyAsLong(row));
            for (int i = 0; i < context; i++) {
                rows[row * context + i] = Byte.toUnsignedLong(bytes[begin + i]);
            }
            next[row] = Byte.toUnsignedLong(bytes[begin + context]);
        }
        return new Batch(Tensor.create(rows, size, context), Tensor.create(next));
    }

    int length() {
        return bytes.length;
    }
}
