package dev.muonium;

/** What every failure of the library that is not a wrong argument or a wrong state comes as. */
public class MuoniumException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param message one sentence that names the thing, the value and the remedy */
    public MuoniumException(String message) {
        super(message);
    }

    /**
     * @param message one sentence that names the thing, the value and the remedy
     * @param cause what the failure was first seen as
     */
    public MuoniumException(String message, Throwable cause) {
        super(message, cause);
    }
}
