package dev.muonium.jmh;

/**
 * What a step took, the mean of those of a side's turn.
 *
 * @param nanos by the clock on the wall
 * @param processorNanos that the side's process was running, all threads together; what others take from it is not in there
 */
record Turn(long nanos, long processorNanos) {
    static Turn parse(String text) {
        String[] parts = text.split(" ");
        return new Turn(Long.parseLong(parts[0]), Long.parseLong(parts[1]));
    }

    double millis() {
        return nanos / 1e6;
    }

    /** As {@link #parse} reads it. */
    @Override
    public String toString() {
        return nanos + " " + processorNanos;
    }
}
