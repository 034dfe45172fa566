package dev.muonium.checkpoint;

import dev.muonium.MuoniumException;

/** A checkpoint cannot be saved, read or restored. The message names the folder or file, what is wrong, and what was kept. */
public final class CheckpointException extends MuoniumException {
    private static final long serialVersionUID = 1L;

    CheckpointException(String message) {
        super(message);
    }

    CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
