package dev.muonium.pytorch;

import dev.muonium.DeviceUnavailableException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Whether PyTorch is there. This class needs nothing of it to be loaded, unlike the others of its package. Thread-safe.
 */
public final class PyTorch {
    private PyTorch() {}

    /** Tried once: of a class that failed to initialize the JVM tells the reason only the first time. */
    private static final class Load {
        static final @Nullable String FAILURE = load();

        private static @Nullable String load() {
            try {
                Class.forName("org.bytedeco.pytorch.global.torch");
                return null;
            } catch (ClassNotFoundException | NoClassDefFoundError e) {
                return "PyTorch is not on the class path or module path (" + reason(e)
                        + " is missing), which dev.muonium.pytorch works with: add the dependency org.bytedeco:pytorch"
                        + " and its native libraries, the same artifact with the classifier of the platform, such as"
                        + " linux-x86_64 or linux-x86_64-gpu";
            } catch (LinkageError e) {
                return "the native libraries of PyTorch cannot be loaded (" + reason(e)
                        + "): add org.bytedeco:pytorch and org.bytedeco:openblas with the classifier of the platform,"
                        + " such as linux-x86_64, in the versions of their Java classes";
            }
        }

        private static String reason(Throwable failure) {
            return String.valueOf(failure.getMessage()).lines().findFirst().orElse("");
        }
    }

    /** Why PyTorch cannot be used, in a sentence that says what to do; empty if it can. */
    public static Optional<String> unavailable() {
        return Optional.ofNullable(Load.FAILURE);
    }

    /**
     * Returns if PyTorch can be used.
     *
     * @throws DeviceUnavailableException if not; the message says what is missing and what to add
     */
    public static void require() {
        unavailable().ifPresent(reason -> {
            throw new DeviceUnavailableException(reason);
        });
    }
}
