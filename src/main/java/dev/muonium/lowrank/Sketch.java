package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.memory.CounterRandom;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/**
 * Random matrices for sketches: entries uniform and symmetric about 0, 16 bits each, of variance 1. They are a function of the seed and the place alone.
 * That they are bounded and not normal changes nothing that two power iterations leave to see, and costs a twentieth.
 */
final class Sketch {
    /** Rows that are made and copied to the device at a time. */
    private static final int CHUNK_BYTES = 1 << 20;

    private static final double DEVIATION = Math.sqrt(3) / (1 << 15);

    private Sketch() {}

    /**
     * Fills a matrix.
     *
     * @param to {@code rows × cols} FP32, on the device
     * @param size what entries are multiplied by
     * @param only the columns that get random entries; the others get 0
     */
    static void fill(Device device, MemorySegment to, long rows, int cols, double size, long seed, BitSet only) {
        float scale = (float) (size * DEVIATION);
        long rowBytes = (long) cols * Float.BYTES;
        int chunkRows = (int) Math.min(rows, Math.max(1, CHUNK_BYTES / rowBytes));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment host = arena.allocate(chunkRows * rowBytes, 64);
            for (long first = 0; first < rows; first += chunkRows) {
                int count = (int) Math.min(chunkRows, rows - first);
                long begin = first;
                device.workers()
                        .run(count, (row, worker) -> fillRow(host, row * cols, cols, scale, seed, begin + row, only));
                device.memory().copyIn(host, 0, to, first * rowBytes, count * rowBytes);
            }
        }
    }

    private static void fillRow(MemorySegment host, int at, int cols, float scale, long seed, long row, BitSet only) {
        long bits = 0;
        for (int col = 0; col < cols; col++) {
            bits = col % 4 == 0 ? CounterRandom.bits(seed, row, col) : bits >>> 16;
            float value = only.get(col) ? ((bits & 0xFFFF) - 32767.5f) * scale : 0;
            host.setAtIndex(ValueLayout.JAVA_FLOAT, at + (long) col, value);
        }
    }
}
