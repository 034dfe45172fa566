package dev.muonium.device;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where native libraries come from, as system properties and the environment say. A property goes before the variable of
 * the same meaning.
 */
final class NativeSettings {
    /** A folder that has the libraries, used as it is. */
    static final String LIBRARY_PATH = "muonium.library.path";

    static final String LIBRARY_PATH_VARIABLE = "MUONIUM_LIBRARY_PATH";
    /** The folder to extract the libraries to. */
    static final String CACHE = "muonium.cache";

    static final String CACHE_VARIABLE = "MUONIUM_CACHE";

    private final Function<String, @Nullable String> properties;
    private final Function<String, @Nullable String> environment;

    NativeSettings(Function<String, @Nullable String> properties, Function<String, @Nullable String> environment) {
        this.properties = properties;
        this.environment = environment;
    }

    static NativeSettings ofThisProcess() {
        return new NativeSettings(System::getProperty, System::getenv);
    }

    /** The platform's name in the jar, for example {@code linux-x86_64}. */
    String platform() {
        String system = properties.apply("os.name");
        String processor = properties.apply("os.arch");
        String arch = "amd64".equals(processor) ? "x86_64" : String.valueOf(processor);
        return String.valueOf(system).toLowerCase(java.util.Locale.ROOT).replace(' ', '-') + "-" + arch;
    }

    @Nullable
    Path libraryPath() {
        return path(LIBRARY_PATH, LIBRARY_PATH_VARIABLE);
    }

    /** The file of the CUDA backend that was named; null to take the one in its jar. */
    @Nullable
    Path cudaBackend() {
        return path(CudaProbe.BACKEND, "MUONIUM_CUDA_BACKEND");
    }

    /**
     * The cache folders to try, the first that can be used wins: the one that was asked for and no other, or the user's
     * cache and then the temporary folder.
     */
    List<Path> caches() {
        Path asked = path(CACHE, CACHE_VARIABLE);
        if (asked != null) {
            return List.of(asked);
        }
        List<Path> caches = new ArrayList<>();
        String xdg = environment.apply("XDG_CACHE_HOME");
        String home = properties.apply("user.home");
        if (xdg != null && Path.of(xdg).isAbsolute()) { // the XDG specification: relative ones are ignored
            caches.add(Path.of(xdg, "muonium"));
        } else if (home != null && Path.of(home).isAbsolute()) {
            caches.add(Path.of(home, ".cache", "muonium"));
        }
        String temporary = properties.apply("java.io.tmpdir");
        if (temporary != null) {
            caches.add(Path.of(temporary, "muonium-" + properties.apply("user.name")));
        }
        return caches;
    }

    private @Nullable Path path(String property, String variable) {
        String text = properties.apply(property);
        if (text == null || text.isBlank()) {
            text = environment.apply(variable);
        }
        return text == null || text.isBlank() ? null : Path.of(text).toAbsolutePath();
    }
}
