package dev.muonium.optim;

import dev.muonium.device.BatchKernels;
import dev.muonium.memory.BlockFormat;
import java.util.ArrayList;
import java.util.List;

/**
 * How the state of a step's batches is cut into loads, in the order of the step. A load is what is brought to a place of a GPU's memory, worked on and sent
 * back at a time: whole arrays where they fit, else a part of one, cut at borders of chunks. Where the state stays on the device, each batch is one
 * load that needs no place.
 *
 * @param batches the loads of each batch
 * @param places how many places they take turns in
 * @param placeBytes of each place
 */
record StateLoads(List<List<Load>> batches, int places, long placeBytes) {
    /** The most bytes of all places together, unless one chunk of one array needs more. */
    static final long CAP = 128L << 20;

    /**
     * Into so many places a cap is divided: with many small ones the first load is there soon, and little is left to send when the last was worked on. 16 MiB
     * still take a bus some hundred times as long as starting the copy.
     */
    static final int MOST_PLACES = 8;

    /** Of each array in a place: what a GPU's own allocations are aligned to. */
    private static final long ALIGNMENT = 256;

    /** The arrays of state of a range of one parameter. */
    record Arrays(long elements, List<BlockFormat> formats, int block) {
        static Arrays of(StateSpan span) {
            Slot slot = span.slot();
            return new Arrays(
                    span.elements(),
                    slot.state().stream().map(named -> named.tensor().format()).toList(),
                    slot.state().getFirst().tensor().block());
        }

        /** Bytes of a place that a number of elements need, from a border of a chunk on. */
        long bytes(long count) {
            long sum = 0;
            for (BlockFormat format : formats) {
                sum += codeBytes(format, count) + scaleBytes(format, count);
            }
            return sum;
        }

        long codeBytes(BlockFormat format, long count) {
            return aligned(count * format.codeType().byteSize());
        }

        long scaleBytes(BlockFormat format, long count) {
            return aligned(format.scales(count, block) * Float.BYTES);
        }
    }

    /**
     * A range of a member's state.
     *
     * @param member which range of a parameter in the batch; elements are counted from its first
     * @param begin its first element, at a border of a chunk
     * @param end behind its last
     * @param offset where it begins in the place
     */
    record Part(int member, long begin, long end, long offset) {
        long chunks() {
            return StepRecords.chunks(end - begin);
        }
    }

    /**
     * What is worked on at a time.
     *
     * @param number counted through all batches
     */
    record Load(int number, List<Part> parts, long bytes) {
        long chunks() {
            return parts.stream().mapToLong(Part::chunks).sum();
        }
    }

    /** All state stays where it is. */
    static StateLoads resident(List<List<Arrays>> batches) {
        return cut(batches, Long.MAX_VALUE, 0);
    }

    /** All state is brought and sent back, through places of at most {@code cap} bytes together. */
    static StateLoads staged(List<List<Arrays>> batches, long cap) {
        return cut(batches, cap / MOST_PLACES / ALIGNMENT * ALIGNMENT, MOST_PLACES);
    }

    private static StateLoads cut(List<List<Arrays>> batches, long capacity, int mostPlaces) {
        List<List<Load>> all = new ArrayList<>();
        int number = 0;
        long largest = 0;
        for (List<Arrays> batch : batches) {
            List<Load> loads = new Cutter(capacity, number).cut(batch);
            number += loads.size();
            for (Load load : loads) {
                largest = Math.max(largest, load.bytes());
            }
            all.add(loads);
        }
        return new StateLoads(List.copyOf(all), Math.min(mostPlaces, number), mostPlaces == 0 ? 0 : largest);
    }

    int count() {
        return batches.stream().mapToInt(List::size).sum();
    }

    /** Bytes of all places together. */
    long stagingBytes() {
        return places * placeBytes;
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Fills one load after another. */
    private static final class Cutter {
        private final long capacity;
        private final List<Load> loads = new ArrayList<>();
        private final int first;
        private List<Part> parts = new ArrayList<>();
        private long bytes;

        Cutter(long capacity, int first) {
            this.capacity = capacity;
            this.first = first;
        }

        List<Load> cut(List<Arrays> batch) {
            for (int member = 0; member < batch.size(); member++) {
                Arrays arrays = batch.get(member);
                if (arrays.bytes(arrays.elements()) > capacity - bytes) {
                    finish();
                }
                long begin = 0;
                while (begin < arrays.elements()) {
                    long end = begin + fitting(arrays, begin);
                    parts.add(new Part(member, begin, end, bytes));
                    bytes += arrays.bytes(end - begin);
                    begin = end;
                    if (begin < arrays.elements()) {
                        finish();
                    }
                }
            }
            finish();
            return List.copyOf(loads);
        }

        /** All that are left if they fit, else as many whole chunks as do, at least one. */
        private long fitting(Arrays arrays, long begin) {
            long left = arrays.elements() - begin;
            if (arrays.bytes(left) <= capacity) {
                return left;
            }
            long chunks = Math.max(1, capacity / arrays.bytes(BatchKernels.CHUNK));
            return Math.min(left, chunks * BatchKernels.CHUNK);
        }

        private void finish() {
            if (!parts.isEmpty()) {
                loads.add(new Load(first + loads.size(), List.copyOf(parts), bytes));
                parts = new ArrayList<>();
                bytes = 0;
            }
        }
    }
}
