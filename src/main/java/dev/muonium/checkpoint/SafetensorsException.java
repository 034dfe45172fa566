package dev.muonium.checkpoint;

import dev.muonium.MuoniumException;

/**
 * A safetensors file cannot be read or written, or breaks the format. The message names the file, the tensor where it is
 * about one, what was found and what is allowed.
 */
public final class SafetensorsException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    SafetensorsException(String message) {
        super(message);
    }

    SafetensorsException(String message, Throwable cause) {
        super(message, cause);
    }
}
