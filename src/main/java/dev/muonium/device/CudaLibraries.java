package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.bindings.NativeLibrary;
import dev.muonium.bindings.NativeSymbols;
import dev.muonium.bindings.cublas.Cublas;
import dev.muonium.bindings.cublaslt.CublasLt;
import dev.muonium.bindings.cudart.CudaRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Loads the libraries that {@link CudaProbe} found, once per process, and asks them for the GPUs. What came of it is kept as a
 * value, so that every later question gets the same answer.
 */
final class CudaLibraries {
    private static final Logger LOG = LogManager.getLogger(CudaLibraries.class);

    private CudaLibraries() {}

    /** What came of loading. */
    sealed interface Outcome permits Loaded, Failed {}

    /**
     * What a device is opened with.
     *
     * @param backend the file of Muonium's CUDA library
     */
    record Loaded(List<LibraryInfo> libraries, Path backend, List<GpuInfo> gpus) implements Outcome {}

    record Failed(CudaAvailability found, Throwable cause) implements Outcome {}

    private static final class Once {
        static final Outcome OUTCOME = tryLoad();
    }

    /**
     * The libraries, loaded and installed in the bindings.
     *
     * @throws DeviceUnavailableException if they cannot be, with what was looked for and the remedy
     */
    static Loaded require() {
        return switch (Once.OUTCOME) {
            case Loaded loaded -> loaded;
            case Failed failed ->
                throw new DeviceUnavailableException(failed.found().explanation(), failed.cause());
        };
    }

    /** What was found, with the GPUs or the reason why there are none. */
    static CudaAvailability ask(CudaAvailability found) {
        return switch (Once.OUTCOME) {
            case Loaded loaded -> new CudaAvailability(found.libraries(), loaded.gpus(), null);
            case Failed failed -> failed.found();
        };
    }

    private static Outcome tryLoad() {
        CudaAvailability found = new CudaProbe(System::getProperty, System::getenv).look();
        if (found.problem() != null) {
            return failed(found, found.problem(), new DeviceUnavailableException(found.problem()));
        }
        try {
            Loaded loaded = load(found);
            LOG.debug("loaded {}, {}", loaded.libraries(), loaded.gpus());
            return loaded;
        } catch (NativeLibraries.CannotLoad e) {
            return failed(found, String.valueOf(e.getMessage()), e);
        } catch (RuntimeException | LinkageError e) {
            // Thrown from here, it would be lost: a class that failed to initialize says so only once.
            return failed(found, e + " while the CUDA libraries were loaded", e);
        }
    }

    private static Failed failed(CudaAvailability found, String problem, Throwable cause) {
        return new Failed(new CudaAvailability(found.libraries(), List.of(), problem), cause);
    }

    private static Loaded load(CudaAvailability found) throws NativeLibraries.CannotLoad {
        LibraryInfo muonium = NativeLibraries.requireMuonium();
        Path backend = new CudaBackend(NativeSettings.ofThisProcess()).provide();
        SymbolLookup driver = open(found, "libcuda.so.1");
        install(found, NativeLibrary.CUDA_RUNTIME, CudaRuntime.class);
        install(found, NativeLibrary.CUBLAS_LT, CublasLt.class); // cuBLAS needs it, wherever it lies
        install(found, NativeLibrary.CUBLAS, Cublas.class);
        List<LibraryInfo> libraries = new ArrayList<>();
        libraries.add(muonium);
        found.libraries().stream()
                .filter(library -> !library.name().equals(CudaBackend.NAME))
                .map(library -> new LibraryInfo(library.name(), library.detail(), path(library)))
                .forEach(libraries::add);
        libraries.add(new LibraryInfo(CudaBackend.NAME, muonium.version(), backend));
        return new Loaded(libraries, backend, gpus(driver));
    }

    private static void install(CudaAvailability found, NativeLibrary library, Class<?> bindings)
            throws NativeLibraries.CannotLoad {
        SymbolLookup symbols = open(found, library.soname());
        NativeLibraries.requireFunctions(library, bindings, symbols, file(found, library.soname()));
        NativeSymbols.install(library, symbols);
    }

    private static SymbolLookup open(CudaAvailability found, String name) throws NativeLibraries.CannotLoad {
        Path file = file(found, name);
        try {
            return DynamicLinker.open(file);
        } catch (DynamicLinker.CannotOpen e) {
            throw new NativeLibraries.CannotLoad("the dynamic linker cannot load " + file + ": " + e.getMessage(), e);
        }
    }

    private static Path file(CudaAvailability found, String name) {
        return found.libraries().stream()
                .filter(library -> library.name().equals(name))
                .findFirst()
                .map(CudaLibraries::path)
                .orElseThrow();
    }

    private static Path path(LibraryFinding library) {
        Path path = library.path();
        if (path == null) {
            throw new IllegalStateException(library.toString());
        }
        return path;
    }

    private static List<GpuInfo> gpus(SymbolLookup driver) throws NativeLibraries.CannotLoad {
        DriverNames names = new DriverNames(driver);
        List<GpuInfo> gpus = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
            int status = CudaRuntime.cudaGetDeviceCount(out);
            if (status != CudaRuntime.cudaSuccess()) {
                throw noGpu(status);
            }
            int count = out.get(ValueLayout.JAVA_INT, 0);
            for (int ordinal = 0; ordinal < count; ordinal++) {
                gpus.add(new GpuInfo(
                        ordinal,
                        names.name(ordinal),
                        attribute(out, CudaRuntime.cudaDevAttrComputeCapabilityMajor(), ordinal),
                        attribute(out, CudaRuntime.cudaDevAttrComputeCapabilityMinor(), ordinal),
                        attribute(out, CudaRuntime.cudaDevAttrMultiProcessorCount(), ordinal),
                        names.bytes(ordinal)));
            }
        }
        if (gpus.isEmpty()) {
            throw noGpu(CudaRuntime.cudaErrorNoDevice());
        }
        return gpus;
    }

    private static int attribute(MemorySegment out, int attribute, int ordinal) throws NativeLibraries.CannotLoad {
        int status = CudaRuntime.cudaDeviceGetAttribute(out, attribute, ordinal);
        if (status != CudaRuntime.cudaSuccess()) {
            throw new NativeLibraries.CannotLoad("cudaDeviceGetAttribute failed: " + CudaStream.text(status), null);
        }
        return out.get(ValueLayout.JAVA_INT, 0);
    }

    private static NativeLibraries.CannotLoad noGpu(int status) {
        String text = CudaStream.text(status);
        if (status == CudaRuntime.cudaErrorNoDevice()) {
            return new NativeLibraries.CannotLoad(
                    "the driver shows no GPU (" + text + "); check nvidia-smi and the variable CUDA_VISIBLE_DEVICES",
                    null);
        }
        if (status == CudaRuntime.cudaErrorInsufficientDriver()) {
            return new NativeLibraries.CannotLoad(
                    "the NVIDIA driver is too old for these CUDA libraries (" + text
                            + "); install an NVIDIA driver of version 580 or newer",
                    null);
        }
        return new NativeLibraries.CannotLoad("the GPUs cannot be asked for: cudaGetDeviceCount says " + text, null);
    }
}
