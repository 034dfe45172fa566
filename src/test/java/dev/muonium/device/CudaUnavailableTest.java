package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.ChildJava;
import dev.muonium.MuoniumException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Why there is no CUDA device, a sentence each. Libraries are loaded once per process, so every case has one of its own. */
@CudaTest
final class CudaUnavailableTest {
    private static final List<String> ALL =
            List.of("libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13");

    @TempDir
    Path folder;

    /** What the processes run: asks for the device twice, then for the CPU, and prints what came of it. */
    static final class Open {
        private Open() {}

        public static void main(String[] arguments) {
            for (int i = 0; i < 2; i++) {
                try (CudaDevice device = Device.cuda()) {
                    System.out.println(device.describe());
                } catch (MuoniumException e) {
                    System.out.println(e.getClass().getSimpleName() + ": " + e.getMessage());
                }
            }
            System.out.println(CudaProbe.probe().reason());
            try (CpuDevice cpu = Device.cpu(1)) {
                System.out.println(cpu.describe());
            }
        }
    }

    @BeforeEach
    void emulated() {
        assumeTrue(CudaTest.Condition.isEmulated(), "it takes the emulator to be without a driver or a GPU");
    }

    @Test
    void theEmulatorIsAvailable() throws Exception {
        String line = open(folderWith(ALL), Map.of());
        assertTrue(line.startsWith("cuda:0 (NVIDIA GPU, sm_90, "), line);
    }

    @Test
    void noGpu() throws Exception {
        unavailable(
                "the driver shows no GPU (no CUDA-capable device is detected (cudaErrorNoDevice)); check nvidia-smi"
                        + " and the variable CUDA_VISIBLE_DEVICES",
                open(folderWith(ALL), Map.of("MU_EMULATOR_DEVICES", "0")));
    }

    @Test
    void aDriverThatIsTooOld() throws Exception {
        unavailable(
                "libcuda.so.1: the driver is too old: it is for CUDA 12.4; install an NVIDIA driver of version 580 or"
                        + " newer",
                open(folderWith(ALL), Map.of("MU_EMULATOR_DRIVER", "12040")));
    }

    @Test
    void aGpuThatIsTooOld() throws Exception {
        String line = open(folderWith(ALL), Map.of("MU_EMULATOR_CC", "75"));
        assertTrue(
                line.startsWith("DeviceUnavailableException: the GPU cuda:0 (NVIDIA GPU, sm_75, 4 multiprocessors"),
                line);
        assertTrue(line.endsWith("which needs compute capability 8.0 (Ampere) or newer; use Device.cpu()"), line);
    }

    @Test
    void withoutCuBlas() throws Exception {
        Path libraries = folderWith(List.of("libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13"));
        unavailable(
                "libcublas.so.13: " + libraries.resolve("libcublas.so.13")
                        + ": cannot open shared object file: No such file or directory; install the libraries of CUDA"
                        + " 13, or name their folder with -Dmuonium.cuda.path=FOLDER",
                open(libraries, Map.of()));
    }

    @Test
    void aFileOfAnotherMajorVersionBesideIt() throws Exception {
        Path libraries = folderWith(List.of("libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13"));
        Path other = Files.writeString(libraries.resolve("libcublas.so.12"), "");
        String line = open(libraries, Map.of());
        assertTrue(line.contains("there is " + other + ", of another major version; install the libraries"), line);
    }

    @Test
    void aLibraryThatSaysItIsOfAnotherMajorVersion() throws Exception {
        Path libraries = folderWith(List.of("libcuda.so.1", "libcudart.so.13", "libcublas.so.13"));
        Path source = Files.writeString(
                folder.resolve("old.c"), "#include <stddef.h>\nsize_t cublasLtGetVersion(void) { return 120800; }\n");
        Path old = libraries.resolve("libcublasLt.so.13");
        run(new ProcessBuilder("cc", "-shared", "-fPIC", "-o", old.toString(), source.toString()));
        unavailable(
                "libcublasLt.so.13: " + old + " is of version 12.8.0, and CUDA libraries of several majors do not mix;"
                        + " install the libraries of CUDA 13, or name their folder with -Dmuonium.cuda.path=FOLDER",
                open(libraries, Map.of()));
    }

    @Test
    void aBackendThatIsNone() throws Exception {
        Path none = Files.writeString(folder.resolve("libmuonium_cuda.so"), "no library");
        String line = open(folderWith(ALL), Map.of(), "-D" + CudaProbe.BACKEND + "=" + none);
        assertTrue(line.startsWith("DeviceUnavailableException: the CUDA device is not available: "), line);
        assertTrue(line.contains("the backend " + none + " cannot be opened"), line);
        assertTrue(line.endsWith("take Muonium and its CUDA backend from one build"), line);
    }

    @Test
    void withoutABackend() throws Exception {
        Path none = folder.resolve("none.so");
        unavailable(
                "libmuonium_cuda.so: there is no file " + none
                        + "; put the jar of Muonium with the classifier cuda13-linux-x86_64 on the class path, or name"
                        + " the library with -Dmuonium.cuda.backend=FILE",
                open(folderWith(ALL), Map.of(), "-D" + CudaProbe.BACKEND + "=" + none));
    }

    private static void unavailable(String reason, String line) {
        String beginning = "DeviceUnavailableException: the CUDA device is not available: ";
        assertTrue(line.startsWith(beginning), line);
        assertEquals(
                reason,
                line.substring(beginning.length(), Math.min(line.length(), beginning.length() + reason.length())));
        assertTrue(line.contains(" (or use Device.cpu()). Looked for: "), line);
    }

    private Path folderWith(List<String> names) throws Exception {
        Path libraries = Files.createDirectory(folder.resolve("cuda"));
        for (String name : names) {
            Files.createSymbolicLink(
                    libraries.resolve(name),
                    Path.of(System.getProperty(CudaProbe.PATH), name).toAbsolutePath());
        }
        return libraries;
    }

    /** The first line of a process with that folder of CUDA libraries; the second must be the same, and the CPU usable. */
    private String open(Path libraries, Map<String, String> environment, String... options) throws Exception {
        List<String> all = new ArrayList<>(List.of(
                "--enable-native-access=ALL-UNNAMED",
                "--illegal-native-access=deny",
                "-Dmuonium.cuda.path=" + libraries,
                "-Dmuonium.cuda.backend=" + System.getProperty(CudaProbe.BACKEND)));
        all.addAll(List.of(options));
        ProcessBuilder process = new ProcessBuilder(ChildJava.command(Open.class, all));
        process.environment().putAll(environment);
        List<String> lines = run(process);
        assertEquals(4, lines.size(), lines.toString());
        assertEquals(lines.get(0), lines.get(1));
        assertTrue(lines.get(3).startsWith("cpu ("), lines.get(3));
        return lines.get(0);
    }

    private static List<String> run(ProcessBuilder builder) throws Exception {
        Process process = builder.redirectError(Redirect.INHERIT).start();
        List<String> lines = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .lines()
                .toList();
        assertTrue(process.waitFor(2, TimeUnit.MINUTES));
        assertEquals(0, process.exitValue(), lines.toString());
        return lines;
    }
}
