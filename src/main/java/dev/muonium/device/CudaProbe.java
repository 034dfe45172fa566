package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Looks for what a CUDA device needs: the driver first, then the runtime and cuBLAS, all of major version 13. Nothing of it
 * is done unless somebody asks; a program that stays on the CPU never touches CUDA.
 *
 * <p>A folder that {@value #PATH} or {@value #PATH_VARIABLE} names is the only one that is looked in for runtime and cuBLAS.
 * Else they are looked for as the dynamic linker does, then in {@code CUDA_HOME}, {@code CUDA_PATH} and
 * {@code /usr/local/cuda}. The driver belongs to the system, so the dynamic linker finds it.
 */
public final class CudaProbe {
    /** The system property that names the folder of the CUDA libraries. */
    public static final String PATH = "muonium.cuda.path";

    /** The environment variable of the same meaning; the property goes before it. */
    public static final String PATH_VARIABLE = "MUONIUM_CUDA_PATH";

    private static final int MAJOR = 13;
    private static final String DRIVER_REMEDY = "install an NVIDIA driver of version 580 or newer";
    private static final String TOOLKIT_REMEDY =
            "install the libraries of CUDA " + MAJOR + ", or name their folder with -D" + PATH + "=FOLDER";

    private final Function<String, @Nullable String> properties;
    private final Function<String, @Nullable String> environment;

    CudaProbe(Function<String, @Nullable String> properties, Function<String, @Nullable String> environment) {
        this.properties = properties;
        this.environment = environment;
    }

    /** Looks now. */
    public static CudaAvailability probe() {
        return new CudaProbe(System::getProperty, System::getenv).look();
    }

    CudaAvailability look() {
        return new CudaAvailability(List.of(
                driver(),
                toolkit("libcudart.so.13", "cudaRuntimeGetVersion", CudaProbe::fromThousands),
                // Before cuBLAS, which depends on it and may stand in a folder that the dynamic linker does not look
                // in.
                toolkit("libcublasLt.so.13", "cublasLtGetVersion", CudaProbe::fromTenThousands),
                toolkit("libcublas.so.13", "cublasGetProperty", CudaProbe::fromProperties)));
    }

    /** The linker begins with what it was asked for; a plain name says nothing new. */
    private static String withoutName(String name, DynamicLinker.CannotOpen problem) {
        String prefix = name + ": ";
        return problem.reason().startsWith(prefix) ? problem.reason().substring(prefix.length()) : problem.reason();
    }

    private static LibraryFinding notAllowed(String name) {
        return new LibraryFinding(
                name,
                null,
                "not looked for: the JVM does not let Muonium call native code",
                NativeLibraries.nativeAccessFlag());
    }

    /** Asks an open library for its version. */
    @FunctionalInterface
    private interface VersionQuery {
        String ask(MemorySegment function) throws Throwable;
    }

    private static LibraryFinding driver() {
        String name = "libcuda.so.1";
        try {
            MemorySegment function = function(name, name, "cuDriverGetVersion");
            int version = number(function);
            String text = "for CUDA " + fromThousands(version);
            return version >= MAJOR * 1000
                    ? new LibraryFinding(name, DynamicLinker.fileOf(function), text, null)
                    : new LibraryFinding(name, null, "the driver is " + text, DRIVER_REMEDY);
        } catch (DynamicLinker.CannotOpen e) {
            return new LibraryFinding(name, null, withoutName(name, e), DRIVER_REMEDY);
        } catch (IllegalCallerException e) {
            return notAllowed(name);
        }
    }

    private LibraryFinding toolkit(String name, String function, VersionQuery version) {
        List<String> reasons = new ArrayList<>();
        for (String candidate : candidates(name)) {
            try {
                MemorySegment address = function(candidate, name, function);
                return new LibraryFinding(name, DynamicLinker.fileOf(address), ask(version, address), null);
            } catch (DynamicLinker.CannotOpen e) {
                reasons.add(withoutName(name, e));
            } catch (IllegalCallerException e) {
                return notAllowed(name);
            }
        }
        return new LibraryFinding(name, null, String.join(", ", reasons), TOOLKIT_REMEDY);
    }

    /** Paths of files that exist, but for the plain name, which stands for the dynamic linker's own search. */
    private List<String> candidates(String name) {
        String given = properties.apply(PATH);
        if (given == null || given.isBlank()) {
            given = environment.apply(PATH_VARIABLE);
        }
        if (given != null && !given.isBlank()) {
            return List.of(Path.of(given).resolve(name).toAbsolutePath().toString());
        }
        List<String> candidates = new ArrayList<>();
        candidates.add(name);
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            String home = environment.apply(variable);
            if (home != null && !home.isBlank()) {
                addExisting(candidates, Path.of(home, "lib64", name));
                addExisting(candidates, Path.of(home, "targets", "x86_64-linux", "lib", name));
            }
        }
        addExisting(candidates, Path.of("/usr/local/cuda/lib64", name));
        return candidates;
    }

    private static void addExisting(List<String> candidates, Path file) {
        if (Files.isRegularFile(file)) {
            candidates.add(file.toString());
        }
    }

    private static MemorySegment function(String library, String name, String function)
            throws DynamicLinker.CannotOpen {
        SymbolLookup symbols = DynamicLinker.open(library);
        return symbols.find(function)
                .orElseThrow(() -> new DynamicLinker.CannotOpen(name + " has no function " + function));
    }

    private static String ask(VersionQuery query, MemorySegment function) throws DynamicLinker.CannotOpen {
        try {
            return query.ask(function);
        } catch (RuntimeException | Error | DynamicLinker.CannotOpen e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }

    private static String fromThousands(MemorySegment function) throws DynamicLinker.CannotOpen {
        return fromThousands(number(function));
    }

    private static String fromThousands(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /** The answer of a function that puts its version behind a pointer: {@code int f(int *version)}. */
    private static int number(MemorySegment function) throws DynamicLinker.CannotOpen {
        MethodHandle handle = Linker.nativeLinker()
                .downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(ValueLayout.JAVA_INT);
            int status = (int) handle.invokeExact(version);
            if (status != 0) {
                throw new DynamicLinker.CannotOpen("the question for its version gives the error " + status);
            }
            return version.get(ValueLayout.JAVA_INT, 0);
        } catch (RuntimeException | Error | DynamicLinker.CannotOpen e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }

    /** {@code size_t f(void)}: 130001 is 13.0.1. */
    private static String fromTenThousands(MemorySegment function) throws Throwable {
        MethodHandle handle =
                Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_LONG));
        long version = (long) handle.invokeExact();
        return version / 10_000 + "." + version % 10_000 / 100 + "." + version % 100;
    }

    /** {@code int f(int property, int *value)}: major, minor and patch are the properties 0, 1 and 2. */
    private static String fromProperties(MemorySegment function) throws Throwable {
        MethodHandle handle = Linker.nativeLinker()
                .downcallHandle(
                        function,
                        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
        List<String> numbers = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            for (int property = 0; property < 3; property++) {
                int status = (int) handle.invokeExact(property, value);
                if (status != 0) {
                    throw new DynamicLinker.CannotOpen("the question for its version gives the error " + status);
                }
                numbers.add(Integer.toString(value.get(ValueLayout.JAVA_INT, 0)));
            }
        }
        return String.join(".", numbers);
    }
}
