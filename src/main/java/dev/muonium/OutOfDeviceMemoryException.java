package dev.muonium;

/**
 * A device has not as much memory as was asked for. The message says how much that was, how much is free, what the device's ledger
 * holds by purpose, and what would help. Nothing was allocated; the device can go on.
 */
public final class OutOfDeviceMemoryException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    private final long asked;
    private final long free;

    /**
     * @param asked bytes that were asked for
     * @param free bytes that the device has free
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

    /** Bytes that the device had free. */
    public long free() {
        return free;
    }
}
