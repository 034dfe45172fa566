package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Looks for what a CUDA device needs: the driver first, then the runtime and cuBLAS, all of major version 13, then Muonium's own
 * backend. Nothing of it is done unless somebody asks; a program that stays on the CPU never touches CUDA.
 *
 * <p>A folder that {@value #PATH} or {@value #PATH_VARIABLE} names is the only one that is looked in for runtime and cuBLAS. Else
 * they are looked for where {@link CudaFolders} says. The driver belongs to the system, so the dynamic linker finds it, unless the
 * named folder has one (as CUDA's folder {@code compat} does).
 */
public final class CudaProbe {
    /** The system property that names the folder of the CUDA libraries. */
    public static final String PATH = "muonium.cuda.path";

    /** The environment variable of the same meaning; the property goes before it. */
    public static final String PATH_VARIABLE = "MUONIUM_CUDA_PATH";

    /** The system property that names the file of Muonium's CUDA backend, instead of the one in its jar. */
    public static final String BACKEND = "muonium.cuda.backend";

    static final int MAJOR = 13;
    private static final String DRIVER = "libcuda.so.1";
    private static final String DRIVER_REMEDY = "install an NVIDIA driver of version 580 or newer";
    private static final String TOOLKIT_REMEDY =
            "install the libraries of CUDA " + MAJOR + ", or name their folder with -D" + PATH + "=FOLDER";

    private final CudaFolders folders;
    private final CudaBackend backend;

    CudaProbe(Function<String, @Nullable String> properties, Function<String, @Nullable String> environment) {
        this.folders = new CudaFolders(properties, environment);
        this.backend = new CudaBackend(new NativeSettings(properties, environment));
    }

    /** Looks now; where everything is there, it asks the driver for the GPUs as well. */
    public static CudaAvailability probe() {
        CudaAvailability found = new CudaProbe(System::getProperty, System::getenv).look();
        return found.problem() == null ? CudaLibraries.ask(found) : found;
    }

    CudaAvailability look() {
        List<LibraryFinding> found = new ArrayList<>();
        found.add(driver());
        found.add(toolkit("libcudart.so.13", "cudaRuntimeGetVersion", CudaProbe::fromThousands));
        // Before cuBLAS, which depends on it and may stand in a folder that the dynamic linker does not look in.
        found.add(toolkit("libcublasLt.so.13", "cublasLtGetVersion", CudaProbe::fromTenThousands));
        found.add(toolkit("libcublas.so.13", "cublasGetProperty", CudaProbe::fromProperties));
        found.add(backend.find());
        return CudaAvailability.of(found);
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

    private LibraryFinding driver() {
        List<String> reasons = new ArrayList<>();
        for (String candidate : folders.ofDriver(DRIVER)) {
            try {
                MemorySegment function = function(candidate, DRIVER, "cuDriverGetVersion");
                int version = number(function);
                String text = "for CUDA " + fromThousands(version);
                return version >= MAJOR * 1000
                        ? new LibraryFinding(DRIVER, DynamicLinker.fileOf(function), text, null)
                        : new LibraryFinding(DRIVER, null, "the driver is too old: it is " + text, DRIVER_REMEDY);
            } catch (DynamicLinker.CannotOpen e) {
                reasons.add(withoutName(DRIVER, e));
            } catch (IllegalCallerException e) {
                return notAllowed(DRIVER);
            }
        }
        return new LibraryFinding(DRIVER, null, String.join(", ", reasons), DRIVER_REMEDY);
    }

    private LibraryFinding toolkit(String name, String function, VersionQuery query) {
        List<String> reasons = new ArrayList<>();
        for (String candidate : folders.ofToolkit(name)) {
            try {
                MemorySegment address = function(candidate, name, function);
                String version = ask(query, address);
                Path file = DynamicLinker.fileOf(address);
                if (version.startsWith(MAJOR + ".")) {
                    return new LibraryFinding(name, file, version, null);
                }
                reasons.add(file + " is of version " + version + ", and CUDA libraries of several majors do not mix");
            } catch (DynamicLinker.CannotOpen e) {
                reasons.add(withoutName(name, e));
            } catch (IllegalCallerException e) {
                return notAllowed(name);
            }
        }
        folders.otherMajor(name).ifPresent(file -> reasons.add("there is " + file + ", of another major version"));
        return new LibraryFinding(name, null, String.join(", ", reasons), TOOLKIT_REMEDY);
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
