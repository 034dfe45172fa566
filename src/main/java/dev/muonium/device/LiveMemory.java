package dev.muonium.device;

import java.util.Arrays;

/**
 * Which addresses of a device are memory that is in use. A look-up makes no garbage and takes no lock: it reads sorted arrays that
 * are replaced, never changed. Ranges may overlap, because callers may make one piece of their memory known more than once.
 */
final class LiveMemory {
    /** Ranges by their beginnings; {@code reach} is the greatest end of a range and all before it. Never changed. */
    private static final class Ranges {
        static final Ranges NONE = new Ranges(new long[0], new long[0], new long[0]);

        private final long[] begins;
        private final long[] ends;
        private final long[] reach;

        Ranges(long[] begins, long[] ends, long[] reach) {
            this.begins = begins;
            this.ends = ends;
            this.reach = reach;
        }
    }

    private volatile Ranges ranges = Ranges.NONE;

    /** Enters the bytes from an address on. */
    synchronized void add(long begin, long bytes) {
        Ranges old = ranges;
        int at = position(old, begin);
        ranges = with(insert(old.begins, at, begin), insert(old.ends, at, begin + bytes));
    }

    /** Takes back what {@link #add} entered with the same numbers. */
    synchronized void remove(long begin, long bytes) {
        Ranges old = ranges;
        for (int i = position(old, begin) - 1; i >= 0 && old.begins[i] == begin; i--) {
            if (old.ends[i] == begin + bytes) {
                ranges = with(without(old.begins, i), without(old.ends, i));
                return;
            }
        }
    }

    /** Bytes in use from an address on; 0 if it lies in no range. */
    long bytesFrom(long address) {
        Ranges now = ranges;
        long last = address;
        for (int i = position(now, address) - 1; i >= 0 && now.reach[i] > last; i--) {
            last = Math.max(last, now.ends[i]);
        }
        return last - address;
    }

    boolean isEmpty() {
        return ranges.begins.length == 0;
    }

    /** The index after the last range that does not begin behind an address. */
    private static int position(Ranges ranges, long address) {
        int low = 0;
        int high = ranges.begins.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (ranges.begins[middle] <= address) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    private static Ranges with(long[] begins, long[] ends) {
        long[] reach = new long[ends.length];
        long greatest = Long.MIN_VALUE;
        for (int i = 0; i < ends.length; i++) {
            greatest = Math.max(greatest, ends[i]);
            reach[i] = greatest;
        }
        return new Ranges(begins, ends, reach);
    }

    private static long[] insert(long[] values, int at, long value) {
        long[] larger = Arrays.copyOf(values, values.length + 1);
        System.arraycopy(values, at, larger, at + 1, values.length - at);
        larger[at] = value;
        return larger;
    }

    private static long[] without(long[] values, int at) {
        long[] smaller = Arrays.copyOf(values, values.length - 1);
        System.arraycopy(values, at + 1, smaller, at, smaller.length - at);
        return smaller;
    }
}
