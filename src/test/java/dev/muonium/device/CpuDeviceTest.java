package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.OutOfDeviceMemoryException;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.nio.file.Files;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("tier")
final class CpuDeviceTest {
    @Test
    void takesTheTierOfTheSystemProperty() {
        try (CpuDevice device = Device.cpu(2)) {
            String forced = System.getProperty(CpuTier.PROPERTY, "auto");
            CpuTier expected = forced.equals("auto")
                    ? device.report().bestTier()
                    : CpuTier.valueOf(forced.toUpperCase(Locale.ROOT));

            assertEquals(expected, device.tier());
            assertEquals("cpu (" + expected + ", 2 threads)", device.describe());
        }
    }

    @Test
    void reportsWhatItRunsOn() {
        try (CpuDevice device = Device.cpu(3)) {
            DeviceReport report = device.report();

            assertEquals(3, report.threads());
            assertEquals(
                    java.util.List.of("libmuonium.so", "libdnnl.so.3", "libgomp.so.1"),
                    report.libraries().stream().map(LibraryInfo::name).toList());
            assertTrue(report.libraries().stream().allMatch(library -> Files.isRegularFile(library.path())));
            assertTrue(report.libraries().get(1).version().startsWith("3."), report.toString());
        }
    }

    @Test
    void countsExactlyWhatItAsksOfTheSystem() {
        try (CpuDevice device = Device.cpu(1)) {
            try (Tensor odd = device.allocate(Purpose.DATA, "odd", ElementType.U8, Shape.of(65));
                    Tensor even = device.allocate(Purpose.WEIGHTS, "even", ElementType.F32, Shape.of(4, 16))) {
                assertEquals(128, device.ledger().bytes(Purpose.DATA));
                assertEquals(256, device.ledger().bytes(Purpose.WEIGHTS));
                assertEquals(65, odd.segment().byteSize());
                assertEquals(0, even.segment().address() % 64);
                assertEquals(0, odd.segment().address() % 64);
            }
            assertEquals(0, device.ledger().total());
            assertEquals(384, device.ledger().peak());
        }
    }

    @Test
    void newMemoryIsZero() {
        try (CpuDevice device = Device.cpu(1)) {
            for (int round = 0; round < 20; round++) {
                try (Tensor tensor = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(1000))) {
                    for (float value : tensor.toFloatArray()) {
                        assertEquals(0, value);
                    }
                    tensor.segment().fill((byte) 0x55); // what a later allocation may find
                }
            }
        }
    }

    @Test
    void saysSoWhenTheSystemHasNoMemory() {
        try (CpuDevice device = Device.cpu(1);
                Tensor held = device.allocate(Purpose.WEIGHTS, "held", ElementType.F32, Shape.of(16))) {
            OutOfDeviceMemoryException failure = assertThrows(
                    OutOfDeviceMemoryException.class,
                    () -> device.allocate(Purpose.GRADIENTS, "huge", ElementType.F32, Shape.of(1L << 50)));

            String text = String.valueOf(failure.getMessage());
            assertTrue(
                    text.startsWith(
                            "the system has no " + (1L << 52) + " bytes for 'huge' (GRADIENTS, F32 " + (1L << 50)
                                    + "); what there is:\n"
                                    + "                  64  held by the ledger of the CPU device, at most 64"),
                    text);
            assertTrue(text.contains("                  64  'held' (weights)\n"), text);
            assertTrue(text.contains("resident memory of this process"), text);
            assertEquals(1L << 52, failure.asked());
            assertTrue(failure.free() > 0);
            assertEquals(
                    64, device.memoryReport().purposes().get(Purpose.WEIGHTS).bytes());
            assertEquals(64, device.ledger().total());
            assertEquals(0, held.getFloat(15));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> device.allocate(Purpose.DATA, "x", ElementType.F64, Shape.of(Long.MAX_VALUE / 4)));
        }
    }

    @Test
    void refusesEveryUseAfterClose() {
        CpuDevice device = Device.cpu(1);
        Kernels kernels = device.kernels();
        Tensor x = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(64));
        Matmul product = device.matmul(MatmulSpec.f32(false, false, 8, 8, 1));
        assertEquals(0, kernels.sumSquares(x.segment(), ElementType.F32, 0, 64));
        device.close();
        device.close();

        assertThrows(
                IllegalStateException.class, () -> device.allocate(Purpose.DATA, "y", ElementType.F32, Shape.of(1)));
        assertThrows(IllegalStateException.class, () -> device.matmul(MatmulSpec.f32(false, false, 8, 8, 1)));
        assertThrows(IllegalStateException.class, () -> device.workers().run(1, (task, worker) -> {}));
        assertThrows(IllegalStateException.class, () -> kernels.sumSquares(x.segment(), ElementType.F32, 0, 64));
        assertThrows(IllegalStateException.class, () -> product.run(0, x.segment(), 0, x.segment(), 0, x.segment(), 0));
        x.close();
        assertEquals(0, device.ledger().total());
    }

    /** The close waits for the task, so the task must not have to wait for the close. */
    @Test
    void closesWhileATaskAsksForAProduct() throws InterruptedException {
        CpuDevice device = Device.cpu(1);
        Thread closing = new Thread(device::close);
        device.workers().run(1, (task, worker) -> {
            closing.start();
            while (closing.getState() != Thread.State.BLOCKED) {
                Thread.onSpinWait();
            }
            assertEquals(
                    8,
                    device.matmul(MatmulSpec.f32(false, false, 8, 8, 1)).spec().m());
        });
        closing.join();
        assertEquals(0, device.ledger().total());
        assertThrows(IllegalStateException.class, () -> device.matmul(MatmulSpec.f32(false, false, 8, 8, 1)));
    }

    @Test
    void aCloseThatWasRefusedCanBeCalledAgain() {
        CpuDevice device = Device.cpu(2);
        assertThrows(IllegalStateException.class, () -> device.workers().run(1, (task, worker) -> device.close()));
        Matmul product = device.matmul(MatmulSpec.f32(false, false, 8, 8, 1)); // the device is as it was
        assertEquals(8, product.spec().m());
        device.close();
        assertEquals(0, device.ledger().total());
    }

    @Test
    void refusesThreadsOutOfRange() {
        assertThrows(IllegalArgumentException.class, () -> Device.cpu(0));
        assertThrows(IllegalArgumentException.class, () -> Device.cpu(1025));
    }

    @Test
    void roundTripsThroughItsKernels() {
        try (CpuDevice device = Device.cpu(1);
                Tensor x = device.allocate(Purpose.DATA, "x", ElementType.F32, Shape.of(130));
                Tensor codes = device.allocate(Purpose.DATA, "codes", ElementType.I8, Shape.of(130));
                Tensor scales = device.allocate(Purpose.DATA, "scales", ElementType.F32, Shape.of(2));
                Tensor back = device.allocate(Purpose.DATA, "back", ElementType.F32, Shape.of(130))) {
            for (int i = 0; i < 130; i++) {
                x.setFloat(i, i - 64);
            }
            Kernels kernels = device.kernels();
            kernels.quantize(
                    BlockFormat.INT8_LINEAR,
                    128,
                    x.segment(),
                    ElementType.F32,
                    codes.segment(),
                    scales.segment(),
                    0,
                    130);
            kernels.dequantize(
                    BlockFormat.INT8_LINEAR,
                    128,
                    codes.segment(),
                    scales.segment(),
                    back.segment(),
                    ElementType.F32,
                    0,
                    130);

            assertEquals(64f / 127, scales.getFloat(0));
            assertEquals(-64, back.getFloat(0));
            assertEquals(65, back.getFloat(129));
        }
    }
}
