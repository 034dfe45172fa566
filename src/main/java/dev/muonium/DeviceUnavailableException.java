package dev.muonium;

/** A device, or a native library that it needs, cannot be used on this machine. The message says why and what to do. */
public final class DeviceUnavailableException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    public DeviceUnavailableException(String message) {
        super(message);
    }

    public DeviceUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
