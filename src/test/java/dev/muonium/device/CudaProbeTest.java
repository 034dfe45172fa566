package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.muonium.DeviceUnavailableException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CudaProbeTest {
    @Test
    void looksForTheDriverFirst() {
        assertEquals(
                List.of(
                        "libcuda.so.1",
                        "libcudart.so.13",
                        "libcublasLt.so.13",
                        "libcublas.so.13",
                        "libmuonium_cuda.so"),
                CudaProbe.probe().libraries().stream().map(LibraryFinding::name).toList());
    }

    @Test
    void saysOfEachLibraryWhereItIsOrWhatToDo() {
        for (LibraryFinding finding : CudaProbe.probe().libraries()) {
            assertFalse(finding.detail().isBlank(), finding.toString());
            if (finding.found()) {
                assertTrue(Files.isRegularFile(finding.path()), finding.toString());
                assertNull(finding.remedy());
            } else {
                assertNotNull(finding.remedy());
                assertTrue(finding.toString().contains(finding.remedy()));
            }
        }
    }

    @Test
    void looksOnlyInTheFolderThatWasNamed(@TempDir Path folder) {
        CudaAvailability byProperty = new CudaProbe(
                        Map.of(CudaProbe.PATH, folder.toString())::get, Map.of("CUDA_HOME", "/nowhere")::get)
                .look();
        CudaAvailability byVariable =
                new CudaProbe(name -> null, Map.of(CudaProbe.PATH_VARIABLE, folder.toString())::get).look();

        for (CudaAvailability availability : List.of(byProperty, byVariable)) {
            LibraryFinding runtime = availability.libraries().get(1);
            assertFalse(runtime.found());
            assertFalse(availability.available());
            assertTrue(
                    runtime.detail().contains(folder.resolve("libcudart.so.13").toString()), runtime.detail());
        }
    }

    @Test
    void aFileThatIsNoLibraryIsExplained(@TempDir Path folder) throws Exception {
        Files.writeString(folder.resolve("libcudart.so.13"), "not a library");

        LibraryFinding runtime = new CudaProbe(Map.of(CudaProbe.PATH, folder.toString())::get, name -> null)
                .look()
                .libraries()
                .get(1);

        assertFalse(runtime.found());
        assertTrue(
                runtime.detail().contains("file too short") || runtime.detail().contains("invalid ELF header"),
                runtime.detail());
    }

    /** Where this runs there may be a GPU; whether there is one is what both must agree on. */
    @Test
    void askingForTheDeviceGivesTheReason() {
        CudaAvailability found = CudaProbe.probe();
        assumeFalse(found.available(), "there is a CUDA device here");

        DeviceUnavailableException exception = assertThrows(DeviceUnavailableException.class, Device::cuda);

        assertEquals(found.explanation(), exception.getMessage());
        assertTrue(exception.getMessage().startsWith("the CUDA device is not available: " + found.reason()));
        assertTrue(exception.getMessage().contains("libcuda.so.1"), exception.getMessage());
    }

    @Test
    void looksInPythonEnvironments(@TempDir Path home) throws Exception {
        Path wheel = home.resolve("lib/python3.12/site-packages/nvidia/cu13/lib");
        Files.createDirectories(wheel);
        Path file = Files.writeString(wheel.resolve("libcublas.so.13"), "");
        Path other = Files.writeString(wheel.resolve("libcublasLt.so.12"), "");
        CudaFolders folders = new CudaFolders(name -> null, Map.of("VIRTUAL_ENV", home.toString())::get);

        assertEquals("libcublas.so.13", folders.ofToolkit("libcublas.so.13").getFirst());
        assertTrue(folders.ofToolkit("libcublas.so.13").contains(file.toString()));
        assertEquals(Optional.of(other), folders.otherMajor("libcublasLt.so.13"));
        assertEquals(List.of("libcuda.so.1"), folders.ofDriver("libcuda.so.1").subList(0, 1));
    }

    @Test
    void namesTheBackendThatIsMissing(@TempDir Path folder) {
        LibraryFinding backend = new CudaProbe(
                        Map.of(CudaProbe.BACKEND, folder.resolve("none.so").toString())::get, name -> null)
                .look()
                .libraries()
                .getLast();

        assertFalse(backend.found());
        assertEquals(
                "libmuonium_cuda.so: there is no file " + folder.resolve("none.so")
                        + "; put the jar of Muonium with the classifier cuda13-linux-x86_64 on the class path, or name"
                        + " the library with -Dmuonium.cuda.backend=FILE",
                backend.toString());
    }
}
