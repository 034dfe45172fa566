package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.bindings.NativeLibrary;
import dev.muonium.bindings.NativeSymbols;
import dev.muonium.bindings.dnnl.Dnnl;
import dev.muonium.bindings.dnnl.dnnl_version_t;
import dev.muonium.bindings.mu.Muonium;
import dev.muonium.bindings.openmp.OpenMp;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Method;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Finds, loads and checks the native libraries that Muonium brings, once per process: our own, which every device needs, and what
 * the CPU multiplies matrices with, which a bundle for a machine with a GPU may lack: libgomp, then oneDNN, which needs it. What
 * came of it is kept as a value, so that every later question gets the same answer.
 */
final class NativeLibraries {
    private static final Logger LOG = LogManager.getLogger(NativeLibraries.class);

    private static final List<NativeLibrary> OF_THE_CPU =
            List.of(NativeLibrary.OPENMP, NativeLibrary.DNNL, NativeLibrary.MUONIUM);

    private NativeLibraries() {}

    /** What came of loading. */
    private sealed interface Outcome {
        record Loaded(List<LibraryInfo> libraries) implements Outcome {}

        /** @param where a platform, where it matters, for the middle of a sentence */
        record Failed(String where, String reason, Throwable cause) implements Outcome {}
    }

    private static final class OfMuonium {
        static final Outcome OUTCOME = outcomeOf(NativeLibraries::loadMuonium);
    }

    private static final class OfTheCpu {
        static final Outcome OUTCOME = outcomeOf(NativeLibraries::loadForCpu);
    }

    /** Why the libraries cannot be used; the message is part of a sentence. */
    static final class CannotLoad extends Exception {
        private static final long serialVersionUID = 1L;

        CannotLoad(String reason, @Nullable Throwable cause) {
            super(reason, cause);
        }
    }

    /**
     * The libraries of the CPU device, loaded and installed in the bindings.
     *
     * @throws DeviceUnavailableException if they cannot be, with what was tried and the remedy
     */
    static List<LibraryInfo> require() {
        return switch (OfTheCpu.OUTCOME) {
            case Outcome.Loaded loaded -> loaded.libraries();
            case Outcome.Failed failed ->
                throw new DeviceUnavailableException(
                        "the CPU device is not available" + failed.where() + ": " + failed.reason(), failed.cause());
        };
    }

    /** Our own library alone, loaded and installed in the bindings. */
    static LibraryInfo requireMuonium() throws CannotLoad {
        return switch (OfMuonium.OUTCOME) {
            case Outcome.Loaded loaded -> loaded.libraries().getFirst();
            case Outcome.Failed failed -> throw new CannotLoad(failed.reason(), failed.cause());
        };
    }

    private interface Loading {
        List<LibraryInfo> load(NativeSettings settings) throws CannotLoad;
    }

    private static Outcome outcomeOf(Loading loading) {
        NativeSettings settings = NativeSettings.ofThisProcess();
        String here = " on " + settings.platform();
        try {
            List<LibraryInfo> libraries = loading.load(settings);
            LOG.debug("loaded {}", libraries);
            return new Outcome.Loaded(libraries);
        } catch (CannotLoad e) {
            return new Outcome.Failed(here, String.valueOf(e.getMessage()), e);
        } catch (IllegalCallerException e) {
            return new Outcome.Failed("", "the JVM does not let Muonium call native code; " + nativeAccessFlag(), e);
        } catch (RuntimeException | LinkageError e) {
            // Thrown from here, it would be lost: a class that failed to initialize says so only once.
            return new Outcome.Failed(here, e + " while the native libraries were loaded", e);
        }
    }

    /** The remedy for a JVM that refuses native calls, with the flag as it must be typed. */
    static String nativeAccessFlag() {
        Module module = NativeLibraries.class.getModule();
        return module.isNamed()
                ? "add the option --enable-native-access=" + module.getName()
                        + " to the java command (ALL-UNNAMED instead of " + module.getName()
                        + " if Muonium is on the class path)"
                : "add the option --enable-native-access=ALL-UNNAMED to the java command (dev.muonium instead of"
                        + " ALL-UNNAMED if Muonium is on the module path)";
    }

    private static List<LibraryInfo> loadMuonium(NativeSettings settings) throws CannotLoad {
        Path file = locate(settings, List.of(NativeLibrary.MUONIUM)).resolve(NativeLibrary.MUONIUM.soname());
        SymbolLookup muonium = open(settings, file);
        requireAbi(muonium, file);
        requireFunctions(NativeLibrary.MUONIUM, Muonium.class, muonium, file);
        NativeSymbols.install(NativeLibrary.MUONIUM, muonium);
        return List.of(new LibraryInfo(
                NativeLibrary.MUONIUM.soname(),
                Muonium.mu_version().getString(0) + ", ABI " + Muonium.mu_abi_version(),
                file));
    }

    private static List<LibraryInfo> loadForCpu(NativeSettings settings) throws CannotLoad {
        Path folder = locate(settings, OF_THE_CPU);
        Path openMpFile = folder.resolve(NativeLibrary.OPENMP.soname());
        Path dnnlFile = folder.resolve(NativeLibrary.DNNL.soname());
        open(settings, openMpFile);
        // oneDNN's lookup also finds what oneDNN itself depends on. When another copy of libgomp was in the process
        // before, that is the one whose settings count.
        SymbolLookup dnnl = open(settings, dnnlFile);
        requireFunctions(NativeLibrary.OPENMP, OpenMp.class, dnnl, openMpFile);
        requireFunctions(NativeLibrary.DNNL, Dnnl.class, dnnl, dnnlFile);
        LibraryInfo muonium = requireMuonium();
        NativeSymbols.install(NativeLibrary.OPENMP, dnnl);
        NativeSymbols.install(NativeLibrary.DNNL, dnnl);
        requireOneDnn(dnnlFile);
        return List.of(
                muonium,
                new LibraryInfo(NativeLibrary.DNNL.soname(), oneDnnVersion(), dnnlFile),
                new LibraryInfo(NativeLibrary.OPENMP.soname(), "unknown", openMpFile));
    }

    /** The folder that holds the libraries of the CPU device. */
    static Path locate(NativeSettings settings) throws CannotLoad {
        return locate(settings, OF_THE_CPU);
    }

    private static Path locate(NativeSettings settings, List<NativeLibrary> wanted) throws CannotLoad {
        Path given = settings.libraryPath();
        if (given != null) {
            return requireComplete(given, wanted);
        }
        if (!settings.platform().equals("linux-x86_64")) {
            throw new CannotLoad(
                    "Muonium brings native libraries for linux-x86_64 only; build them for this platform and name their"
                            + " folder with -D" + NativeSettings.LIBRARY_PATH + "=FOLDER",
                    null);
        }
        try {
            NativeBundle bundle = NativeBundle.forPlatform(settings.platform());
            requireListed(bundle, wanted);
            return extract(settings, bundle);
        } catch (IOException e) {
            throw new CannotLoad(
                    e.getMessage() + "; use a complete jar, or name a folder that has the libraries with -D"
                            + NativeSettings.LIBRARY_PATH + "=FOLDER",
                    e);
        }
    }

    private static void requireListed(NativeBundle bundle, List<NativeLibrary> wanted) throws IOException {
        for (NativeLibrary library : wanted) {
            if (bundle.entries().stream().noneMatch(entry -> entry.file().equals(library.soname()))) {
                throw new IOException("the jar, or the class folder, brings no " + library);
            }
        }
    }

    private static Path requireComplete(Path folder, List<NativeLibrary> wanted) throws CannotLoad {
        for (NativeLibrary library : wanted) {
            if (!Files.isRegularFile(folder.resolve(library.soname()))) {
                throw new CannotLoad(
                        "the folder " + folder + ", which " + NativeSettings.LIBRARY_PATH + " or "
                                + NativeSettings.LIBRARY_PATH_VARIABLE + " names, has no " + library.soname()
                                + "; it must have "
                                + wanted.stream().map(NativeLibrary::soname).collect(Collectors.joining(" and ")),
                        null);
            }
        }
        return folder;
    }

    /** Puts a bundle's libraries into the first cache that can be used. */
    static Path extract(NativeSettings settings, NativeBundle bundle) throws CannotLoad {
        StringBuilder tried = new StringBuilder();
        @Nullable IOException first = null;
        for (Path cache : settings.caches()) {
            try {
                return new NativeCache(cache).provide(bundle);
            } catch (IOException e) {
                tried.append(tried.isEmpty() ? "" : "; ")
                        .append(cache)
                        .append(" (")
                        .append(e)
                        .append(')');
                first = first == null ? e : first;
            }
        }
        throw new CannotLoad(
                "the native libraries cannot be extracted to " + tried
                        + "; name a folder that this user can write to, and"
                        + " nobody else, with -D" + NativeSettings.CACHE + "=FOLDER or the variable "
                        + NativeSettings.CACHE_VARIABLE,
                first);
    }

    private static SymbolLookup open(NativeSettings settings, Path library) throws CannotLoad {
        try {
            return openOrMend(settings, library);
        } catch (DynamicLinker.CannotOpen e) {
            throw new CannotLoad(
                    "the dynamic linker cannot load " + library + " (" + e.getMessage() + "); it needs glibc and"
                            + " libstdc++, and a folder that is not mounted noexec (choose one with -D"
                            + NativeSettings.CACHE + "=FOLDER, or name one that has the libraries with -D"
                            + NativeSettings.LIBRARY_PATH + "=FOLDER)",
                    e);
        }
    }

    /** A library of the cache was checked by its size alone; when it cannot be loaded, by its contents. */
    private static SymbolLookup openOrMend(NativeSettings settings, Path library) throws DynamicLinker.CannotOpen {
        try {
            return DynamicLinker.open(library);
        } catch (DynamicLinker.CannotOpen e) {
            if (settings.libraryPath() != null) {
                throw e;
            }
            try {
                if (!NativeCache.mend(NativeBundle.forPlatform(settings.platform()), library)) {
                    throw e;
                }
            } catch (IOException cannotMend) {
                e.addSuppressed(cannotMend);
                throw e;
            }
            return DynamicLinker.open(library);
        }
    }

    /**
     * Every function of the bindings, before one is called for the first time: there, a missing one would be a linkage error
     * in the middle of somebody's work, and after the first time one without a reason.
     */
    static void requireFunctions(NativeLibrary library, Class<?> bindings, SymbolLookup symbols, Path path)
            throws CannotLoad {
        String suffix = "$address"; // jextract makes a method of that name for each function
        List<String> missing = Arrays.stream(bindings.getMethods())
                .map(Method::getName)
                .filter(name -> name.endsWith(suffix))
                .map(name -> name.substring(0, name.length() - suffix.length()))
                .filter(name -> symbols.find(name).isEmpty())
                .sorted()
                .toList();
        if (!missing.isEmpty()) {
            throw new CannotLoad(
                    path + " has no function " + String.join(", ", missing) + ": it is not the " + library.title()
                            + " that the classes of Muonium in " + ownLocation() + " were made for",
                    null);
        }
    }

    /** Asked before the library is installed, as none of its other functions may be called if the answer is wrong. */
    private static void requireAbi(SymbolLookup muonium, Path library) throws CannotLoad {
        int found = abiVersion(muonium, library);
        if (found != Muonium.MU_ABI_VERSION()) {
            throw new CannotLoad(
                    library + " has ABI version " + found + ", but the classes of Muonium in " + ownLocation()
                            + " were made for ABI version " + Muonium.MU_ABI_VERSION() + "; take both from one build",
                    null);
        }
    }

    private static int abiVersion(SymbolLookup muonium, Path library) throws CannotLoad {
        MemorySegment function = muonium.find("mu_abi_version")
                .orElseThrow(() -> new CannotLoad(
                        library + " has no function mu_abi_version: it is not Muonium's native library; the classes in "
                                + ownLocation() + " need ABI version " + Muonium.MU_ABI_VERSION(),
                        null));
        MethodHandle handle =
                Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT));
        try {
            return (int) handle.invokeExact();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }

    private static void requireOneDnn(Path library) throws CannotLoad {
        int major = dnnl_version_t.major(Dnnl.dnnl_version());
        int minor = dnnl_version_t.minor(Dnnl.dnnl_version());
        if (major != Dnnl.DNNL_VERSION_MAJOR() || minor < Dnnl.DNNL_VERSION_MINOR()) {
            throw new CannotLoad(
                    library + " is oneDNN " + oneDnnVersion() + ", but Muonium needs " + Dnnl.DNNL_VERSION_MAJOR() + "."
                            + Dnnl.DNNL_VERSION_MINOR() + " or a later " + Dnnl.DNNL_VERSION_MAJOR() + ".x",
                    null);
        }
        if (dnnl_version_t.cpu_runtime(Dnnl.dnnl_version()) != Dnnl.DNNL_RUNTIME_OMP()) {
            throw new CannotLoad(library + " is a oneDNN that was not built for OpenMP, on which Muonium relies", null);
        }
    }

    private static String oneDnnVersion() {
        MemorySegment version = Dnnl.dnnl_version();
        return dnnl_version_t.major(version) + "." + dnnl_version_t.minor(version) + "."
                + dnnl_version_t.patch(version);
    }

    private static String ownLocation() {
        CodeSource source = NativeLibraries.class.getProtectionDomain().getCodeSource();
        if (source == null || source.getLocation() == null) {
            return "this JVM";
        }
        try {
            return Path.of(source.getLocation().toURI()).toString();
        } catch (URISyntaxException | RuntimeException e) {
            return source.getLocation().toString();
        }
    }
}
