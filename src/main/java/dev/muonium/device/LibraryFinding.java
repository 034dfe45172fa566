package dev.muonium.device;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What came of looking for a library.
 *
 * @param name the name that it was looked for by, for example {@code libcublas.so.13}
 * @param path where it was found; null if it was not, or is of no use
 * @param detail its version; or why it is of no use
 * @param remedy what to do about it; null if nothing
 */
public record LibraryFinding(
        String name,
        @Nullable Path path,
        String detail,
        @Nullable String remedy) {
    /** Whether the library is there and can be used. */
    public boolean found() {
        return path != null;
    }

    /** For example {@code libcudart.so.13 13.0 (/usr/local/cuda/lib64/libcudart.so.13)}. */
    @Override
    public String toString() {
        return path != null
                ? name + " " + detail + " (" + path + ")"
                : name + ": " + detail + (remedy == null ? "" : "; " + remedy);
    }
}
