package dev.muonium.device;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Where CUDA libraries may lie: where the dynamic linker looks, then {@code CUDA_HOME}, {@code CUDA_PATH}, {@code /usr/local/cuda},
 * and then the Python environments of this machine. Their wheels put everything of CUDA 13 into {@code nvidia/cu13/lib}; older ones
 * had a folder for each library.
 */
final class CudaFolders {
    private static final List<String> OF_WHEELS = List.of("cu13", "cublas", "cuda_runtime");

    private final Function<String, @Nullable String> properties;
    private final Function<String, @Nullable String> environment;

    CudaFolders(Function<String, @Nullable String> properties, Function<String, @Nullable String> environment) {
        this.properties = properties;
        this.environment = environment;
    }

    /** What to open for the driver, in this order. */
    List<String> ofDriver(String name) {
        List<String> candidates = new ArrayList<>();
        Path given = given();
        if (given != null) {
            addExisting(candidates, given.resolve(name));
        }
        candidates.add(name);
        // Containers and WSL bring the driver in folders that the dynamic linker may not know.
        for (String folder : List.of("/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/wsl/lib")) {
            addExisting(candidates, Path.of(folder, name));
        }
        return candidates;
    }

    /** What to open for a library of the toolkit: files that exist, and the plain name for the dynamic linker's own search. */
    List<String> ofToolkit(String name) {
        Path given = given();
        if (given != null) {
            return List.of(given.resolve(name).toAbsolutePath().toString());
        }
        List<String> candidates = new ArrayList<>();
        candidates.add(name);
        for (Path folder : folders()) {
            addExisting(candidates, folder.resolve(name));
        }
        return candidates;
    }

    /** A file of the same library, but of another major version, that lies where it was looked for. */
    Optional<Path> otherMajor(String name) {
        String stem = name.substring(0, name.lastIndexOf('.') + 1);
        Path given = given();
        List<Path> folders = given != null ? List.of(given) : folders();
        for (Path folder : folders) {
            for (Path file : list(folder, stem + "*")) {
                String major = file.getFileName().toString().substring(stem.length());
                if (major.matches("[0-9]+") && !file.endsWith(name)) {
                    return Optional.of(file);
                }
            }
        }
        return Optional.empty();
    }

    private @Nullable Path given() {
        String folder = properties.apply(CudaProbe.PATH);
        if (folder == null || folder.isBlank()) {
            folder = environment.apply(CudaProbe.PATH_VARIABLE);
        }
        return folder == null || folder.isBlank() ? null : Path.of(folder);
    }

    private List<Path> folders() {
        List<Path> folders = new ArrayList<>();
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            path(environment.apply(variable)).ifPresent(home -> addToolkit(folders, home));
        }
        addToolkit(folders, Path.of("/usr/local/cuda"));
        addToolkit(folders, Path.of("/usr/local/cuda-" + CudaProbe.MAJOR));
        for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            path(environment.apply(variable)).ifPresent(home -> {
                addPython(folders, home.resolve("lib"));
                addToolkit(folders, home); // conda's own packages
            });
        }
        path(properties.apply("user.home")).ifPresent(home -> addPython(folders, home.resolve(".local/lib")));
        for (String prefix : List.of("/usr/local/lib", "/usr/lib", "/opt/conda/lib", "/opt/venv/lib")) {
            addPython(folders, Path.of(prefix));
        }
        folders.add(Path.of("/usr/lib/x86_64-linux-gnu"));
        return folders;
    }

    private static void addToolkit(List<Path> folders, Path home) {
        folders.add(home.resolve("lib64"));
        folders.add(home.resolve("targets/x86_64-linux/lib"));
        folders.add(home.resolve("lib"));
    }

    private static void addPython(List<Path> folders, Path lib) {
        for (Path python : list(lib, "python3*")) {
            for (String packages : List.of("site-packages", "dist-packages")) {
                for (String wheel : OF_WHEELS) {
                    folders.add(python.resolve(packages)
                            .resolve("nvidia")
                            .resolve(wheel)
                            .resolve("lib"));
                }
            }
        }
    }

    private static Optional<Path> path(@Nullable String text) {
        try {
            return text == null || text.isBlank() ? Optional.empty() : Optional.of(Path.of(text));
        } catch (InvalidPathException e) {
            return Optional.empty(); // a variable of somebody else's, with no meaning here
        }
    }

    private static List<Path> list(Path folder, String pattern) {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> children = Files.newDirectoryStream(folder, pattern)) {
            children.forEach(found::add);
        } catch (IOException | java.nio.file.DirectoryIteratorException e) {
            return List.of(); // a folder that is not there, or that this user cannot read
        }
        found.sort(null);
        return found;
    }

    private static void addExisting(List<String> candidates, Path file) {
        if (Files.isRegularFile(file)) {
            candidates.add(file.toAbsolutePath().toString());
        }
    }
}
