package dev.muonium;

/**
 * The root of what Muonium throws for reasons that lie outside a call's arguments: a native library that is missing, a
 * device that fails, a gradient that is not finite. Wrong arguments are an {@link IllegalArgumentException}, use after
 * close is an {@link IllegalStateException}.
 */
public class MuoniumException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public MuoniumException(String message) {
        super(message);
    }

    public MuoniumException(String message, Throwable cause) {
        super(message, cause);
    }
}
