package dev.muonium;

/**
 * A device, or the system, has not as much memory as was asked for. The first line of the message says how much that was, and on a GPU how much is free and what would
 * help; a report of who holds memory follows ({@link dev.muonium.memory.MemoryReport}). Nothing was allocated; the device can go on.
 */
public final class OutOfDeviceMemoryException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    private final long asked;
    private final long free;

    /**
     * @param asked bytes that were asked for
     * @param free bytes that the device has free; on a CPU what the system could give without swapping, or -1 where it does not tell
     */
    public OutOfDeviceMemoryException(String message, long asked, long free) {
        super(message);
        this.asked = asked;
        this.free = free;
    }

    /** Bytes that were asked for. */
    public long asked() {
        return asked;
    }

    /** Bytes that the device had free; on a CPU what the system could have given without swapping, or -1 where it does not tell. */
    public long free() {
        return free;
    }
}
