package dev.muonium.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** Where Muonium's own CUDA library is: the file that {@value CudaProbe#BACKEND} names, or the one in the jar that is made for it. */
final class CudaBackend {
    static final String NAME = "libmuonium_cuda.so";

    private static final String CLASSIFIER = "cuda" + CudaProbe.MAJOR + "-linux-x86_64";
    private static final String REMEDY = "put the jar of Muonium with the classifier " + CLASSIFIER
            + " on the class path, or name the library with -D" + CudaProbe.BACKEND + "=FILE";

    private final NativeSettings settings;

    CudaBackend(NativeSettings settings) {
        this.settings = settings;
    }

    /** Says whether it is there, without taking it out of its jar. */
    LibraryFinding find() {
        Path given = settings.cudaBackend();
        if (given != null) {
            return Files.isRegularFile(given)
                    ? new LibraryFinding(NAME, given, "named by " + CudaProbe.BACKEND, null)
                    : new LibraryFinding(NAME, null, "there is no file " + given, REMEDY);
        }
        return NativeBundle.exists(platform())
                ? new LibraryFinding(NAME, Path.of("dev/muonium/native", platform(), NAME), "in its jar", null)
                : new LibraryFinding(NAME, null, "it is neither on the class path nor named", REMEDY);
    }

    /** The file, taken out of its jar where it must be. */
    Path provide() throws NativeLibraries.CannotLoad {
        Path given = settings.cudaBackend();
        if (given != null) {
            return given;
        }
        try {
            return NativeLibraries.extract(settings, NativeBundle.forPlatform(platform()))
                    .resolve(NAME);
        } catch (IOException e) {
            throw new NativeLibraries.CannotLoad(e.getMessage() + "; " + REMEDY, e);
        }
    }

    private String platform() {
        return settings.platform() + "-cuda" + CudaProbe.MAJOR;
    }

    /**
     * What a context of the backend is refused with when its library cannot be opened says more than is needed: the function's
     * name and the path come again with the linker's reason.
     */
    static String withoutPrefix(String text) {
        return Pattern.compile("^mu_context_create: ").matcher(text).replaceFirst("");
    }
}
