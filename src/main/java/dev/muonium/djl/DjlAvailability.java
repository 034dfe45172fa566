package dev.muonium.djl;

import dev.muonium.MuoniumException;

/**
 * Whether DJL and its PyTorch engine are there, which Muonium does not bring. Uses no class of theirs, so that it can be asked where
 * they are missing.
 *
 * @param reason what is missing and what to add; empty if nothing is
 */
public record DjlAvailability(String reason) {
    private static final String API = "ai.djl.training.optimizer.Optimizer";
    private static final String ENGINE = "ai.djl.pytorch.engine.PtEngine";

    /** Looks for the classes, without loading anything native. */
    public static DjlAvailability find() {
        return find(DjlAvailability.class.getClassLoader());
    }

    static DjlAvailability find(ClassLoader loader) {
        if (!has(API, loader)) {
            return new DjlAvailability("DJL is not on the class path or module path: add ai.djl:api and"
                    + " ai.djl.pytorch:pytorch-engine, and the natives of PyTorch");
        }
        if (!has(ENGINE, loader)) {
            return new DjlAvailability(
                    "DJL's PyTorch engine, whose arrays Muonium works on, is not on the class path or"
                            + " module path: add ai.djl.pytorch:pytorch-engine, and the natives of PyTorch");
        }
        return new DjlAvailability("");
    }

    private static boolean has(String className, ClassLoader loader) {
        try {
            Class.forName(className, false, loader);
            return true;
        } catch (ClassNotFoundException | NoClassDefFoundError e) {
            return false;
        }
    }

    /** Whether both are there. */
    public boolean available() {
        return reason.isEmpty();
    }

    /**
     * Demands both.
     *
     * @throws MuoniumException with the reason if one is missing
     */
    public void require() {
        if (!available()) {
            throw new MuoniumException(reason);
        }
    }
}
