package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.DeviceUnavailableException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CudaProbeTest {
    @Test
    void looksForTheDriverFirst() {
        assertEquals(
                List.of("libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13"),
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
            assertFalse(availability.librariesFound());
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

    @Test
    void askingForTheDeviceGivesTheReason() {
        DeviceUnavailableException exception = assertThrows(DeviceUnavailableException.class, Device::cuda);

        assertTrue(exception.getMessage().contains("computes on the CPU only"), exception.getMessage());
        assertTrue(exception.getMessage().contains("libcuda.so.1"), exception.getMessage());
    }
}
