package dev.muonium;

/** A native function returned a status other than success. The message names the function and carries its own text. */
public final class NativeException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    private final String function;
    private final int status;

    /**
     * @param function the native function that failed, for example {@code mu_quantize}
     * @param status the status that it returned
     * @param text what the native library says about it
     */
    public NativeException(String function, int status, String text) {
        super(function + " failed with status " + status + ": " + text);
        this.function = function;
        this.status = status;
    }

    /** The native function that failed. */
    public String function() {
        return function;
    }

    /** The status that it returned. */
    public int status() {
        return status;
    }
}
