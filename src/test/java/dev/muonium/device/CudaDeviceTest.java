package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What a GPU promises beyond {@link DeviceContract}. */
@CudaTest
final class CudaDeviceTest {
    private static final ElementType F32 = ElementType.F32;

    private CudaDevice device;
    private DeviceMemory memory;
    /** On the emulator, what devices that broke have left. */
    private long lost;

    @BeforeEach
    void open() {
        lost = CudaTest.Condition.isEmulated() ? Emulator.liveBytes() : 0;
        device = Device.cuda();
        memory = device.memory();
    }

    @AfterEach
    void close() {
        device.close();
        assertEquals(0, device.ledger().total());
    }

    private static Tensor tensor(Device owner, float... values) {
        Tensor tensor = owner.allocate(Purpose.DATA, "x", F32, Shape.of(values.length));
        tensor.copyFrom(values);
        return tensor;
    }

    private static void twice(Device owner, Tensor x) {
        long n = x.elements();
        owner.kernels().scale(2, x.segment(), F32, n, x.segment(), F32, n, n, 0, 1);
    }

    private static void says(String part, Class<? extends Throwable> type, Executable call) {
        Throwable thrown = assertThrows(type, call);
        assertTrue(thrown.getMessage().contains(part), thrown.getMessage());
    }

    @Test
    void saysWhatItIs() {
        assertEquals("cuda:0 (" + device.gpu() + ")", device.describe());
        assertEquals(0, device.gpu().ordinal());
        assertTrue(device.gpu().major() >= 8 && device.gpu().multiprocessors() > 0, device.describe());
        assertTrue(device.isFast(ElementType.BF16));
        assertEquals(1, device.workers().count());
        assertEquals(
                java.util.List.of(
                        "libmuonium.so",
                        "libcuda.so.1",
                        "libcudart.so.13",
                        "libcublasLt.so.13",
                        "libcublas.so.13",
                        "libmuonium_cuda.so"),
                device.libraries().stream().map(LibraryInfo::name).toList());
        assertThrows(IllegalArgumentException.class, () -> Device.cuda(-1));
        assertThrows(IllegalArgumentException.class, () -> Device.cuda(1000));
    }

    @Test
    void theLedgerHasWhatTheGpuHas() {
        assumeTrue(CudaTest.Condition.isEmulated(), "a GPU does not tell what of it is this device's");
        try (Tensor _ = device.allocate(Purpose.WEIGHTS, "x", ElementType.U8, Shape.of(1000));
                Tensor y = device.allocate(Purpose.DATA, "y", F32, Shape.of(1, 2, 3))) {
            assertEquals(1024, device.ledger().bytes(Purpose.WEIGHTS));
            twice(device, y);
            double _ = device.kernels().sumSquares(y.segment(), F32, 0, 6);
            assertEquals(Emulator.liveBytes() - lost, device.ledger().total());
        }
        device.close();
        assertEquals(lost, Emulator.liveBytes());
    }

    @Test
    void refusesMemoryOfTheHostOfAnotherDeviceAndOfNobody() {
        try (Arena arena = Arena.ofConfined();
                CudaDevice twin = Device.cuda();
                Tensor elsewhere = tensor(twin, 1)) {
            MemorySegment host = arena.allocate(ValueLayout.JAVA_FLOAT, 4);
            says(
                    "'x' is memory of the host, where cuda:0 does not look for it; copy it to a tensor of that device",
                    IllegalArgumentException.class,
                    () -> device.kernels().scale(1, host, F32, 1, host, F32, 1, 1, 0, 1));
            says(
                    "'x' is memory of another device that was opened on cuda:0",
                    IllegalArgumentException.class,
                    () -> twice(device, elsewhere));
            says(
                    "'x' at address 0x1230 is no memory that cuda:0 knows; memory of somebody else's is made known with"
                            + " CudaDevice.wrap",
                    IllegalArgumentException.class,
                    () -> memory.requireReadable("x", MemorySegment.ofAddress(0x1230), F32, 1));
            says(
                    "staging memory lies on the Java heap",
                    IllegalArgumentException.class,
                    () -> memory.stageIn(MemorySegment.ofArray(new float[1]), elsewhere.segment(), 4));
        }
    }

    @Test
    void eachOfSeveralGpusHasItsOwnMemoryAndStream() throws InterruptedException {
        assumeTrue(CudaProbe.probe().gpus().size() > 1, "there is one GPU only");
        try (CudaDevice second = Device.cuda(1);
                Tensor x = tensor(device, 1, 2);
                Tensor y = tensor(second, 3, 4)) {
            twice(device, x);
            twice(second, y);
            twice(device, x);
            Thread thread = new Thread(() -> twice(second, y)); // a thread whose current device is the first
            thread.start();
            thread.join();

            assertArrayEquals(new float[] {4, 8}, x.toFloatArray());
            assertArrayEquals(new float[] {12, 16}, y.toFloatArray());
            assertEquals("cuda:1 (" + second.gpu() + ")", second.describe());
            says(
                    "'x' is memory of cuda:1, not of this device on cuda:0; copy it by way of the host",
                    IllegalArgumentException.class,
                    () -> twice(device, y));
            says(
                    "is memory of cuda:1, not of cuda:0",
                    IllegalArgumentException.class,
                    () -> device.wrap("y", F32, Shape.of(2), y.segment().address()));
        }
    }

    @Test
    void wrapsMemoryOfSomebodyElse() {
        try (CudaDevice owner = Device.cuda();
                Tensor theirs = tensor(owner, 1, 2, 3)) {
            long address = theirs.segment().address();
            owner.synchronize();
            Tensor ours = device.wrap("theirs", F32, Shape.of(3), address);
            MemorySegment segment = ours.segment();
            twice(device, ours);
            assertArrayEquals(new float[] {2, 4, 6}, ours.toFloatArray());
            assertArrayEquals(new float[] {2, 4, 6}, theirs.toFloatArray());
            says(
                    "'theirs' has 12 bytes; 4 elements of F32 need 16",
                    IllegalArgumentException.class,
                    () -> memory.requireReadable("theirs", segment, F32, 4));
            ours.close();
            says("freed", IllegalStateException.class, () -> memory.requireReadable("theirs", segment, F32, 3));
            assertThrows(IllegalArgumentException.class, () -> device.wrap("odd", F32, Shape.of(1), address + 1));
        }
        try (Arena arena = Arena.ofConfined()) {
            long host = arena.allocate(64).address();
            says(
                    "is not memory of a GPU",
                    IllegalArgumentException.class,
                    () -> device.wrap("host", F32, Shape.of(1), host));
        }
        assertEquals(0, device.ledger().bytes(Purpose.DATA));
    }

    @Test
    void worksInAStreamOfSomebodyElse() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            assertEquals(0, CudaRuntime.cudaStreamCreateWithFlags(out, CudaRuntime.cudaStreamNonBlocking()));
            MemorySegment stream = out.get(ValueLayout.ADDRESS, 0);
            try (CudaDevice guest =
                            CudaDevice.builder().stream(stream.address()).open();
                    Tensor x = tensor(guest, 1, 2);
                    Recording recording = guest.record(() -> twice(guest, x))) {
                recording.replay();
                assertEquals(0, CudaRuntime.cudaStreamSynchronize(stream)); // its owner waits for our work as well
                assertArrayEquals(new float[] {2, 4}, x.toFloatArray());
            }
            assertEquals(0, CudaRuntime.cudaStreamDestroy(stream)); // it is still there
        }
    }

    @Test
    void worksInTheDefaultStreamButCannotRecordThere() {
        try (CudaDevice guest = CudaDevice.builder().stream(0).open();
                Tensor x = tensor(guest, 1, 2);
                Tensor y = tensor(guest, 0)) {
            twice(guest, x);
            guest.matmul(MatmulSpec.f32(false, true, 1, 1, 2)).run(0, x.segment(), 0, x.segment(), 0, y.segment(), 0);
            assertEquals(20, y.getFloat(0));
            says("default stream", IllegalStateException.class, () -> guest.record(() -> {}));
        }
    }

    @Test
    void aRecordingHoldsNothingThatWaitsOrAllocates() {
        try (Tensor x = tensor(device, 1, 2);
                Recording other = device.record(() -> twice(device, x))) {
            refusedInRecording(() -> device.allocate(Purpose.DATA, "y", F32, Shape.of(1)));
            refusedInRecording(() -> memory.allocateStaging(Purpose.DATA, "y", F32, Shape.of(1)));
            refusedInRecording(device::synchronize);
            refusedInRecording(x::toFloatArray);
            refusedInRecording(() -> x.setFloat(0, 1));
            refusedInRecording(() -> device.kernels().sumSquares(x.segment(), F32, 0, 2));
            refusedInRecording(other::replay);
            refusedInRecording(() -> device.record(() -> {}));
            refusedInRecording(() -> device.milliseconds(() -> {}));
            refusedInRecording(device::close);
            other.replay();
            assertArrayEquals(new float[] {2, 4}, x.toFloatArray());
        }
    }

    private void refusedInRecording(Runnable call) {
        says(" inside a recording of cuda:0", IllegalStateException.class, () -> device.record(call));
    }

    @Test
    void whatIsClosedInARecordingIsFreedWhenItHasEnded() {
        Tensor scratch = tensor(device, 1);
        Tensor staging = memory.allocateStaging(Purpose.DATA, "staging", F32, Shape.of(1));
        Recording first = device.record(() -> {});
        device.record(() -> {
                    scratch.close();
                    staging.close();
                    first.close();
                })
                .close();
        assertEquals(0, device.ledger().bytes(Purpose.DATA));
        try (Tensor x = tensor(device, 3)) {
            assertEquals(3, x.getFloat(0));
        }
    }

    @Test
    void anotherThreadDoesNotGetIntoARecording() {
        try (Tensor x = tensor(device, 1, 2)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            device.record(() -> {
                        Thread thread = new Thread(() -> twice(device, x));
                        thread.setUncaughtExceptionHandler((_, e) -> thrown.set(e));
                        thread.start();
                        try {
                            thread.join();
                        } catch (InterruptedException e) {
                            throw new AssertionError(e);
                        }
                    })
                    .close();
            assertTrue(thrown.get().getMessage().contains("is being recorded by the thread"), "" + thrown.get());
        }
    }

    @Test
    void aRecordingWhoseWorkFailsIsForgotten() {
        try (Tensor x = tensor(device, 1, 2)) {
            says(
                    "no luck",
                    UnsupportedOperationException.class,
                    () -> device.record(() -> {
                        twice(device, x);
                        throw new UnsupportedOperationException("no luck");
                    }));
            twice(device, x);
            assertArrayEquals(new float[] {2, 4}, x.toFloatArray());
        }
    }

    @Test
    void closingWaitsForWorkInFlight() {
        assumeTrue(CudaTest.Condition.isEmulated(), "a GPU does not tell what it has not done yet");
        Tensor x = tensor(device, 1, 2);
        twice(device, x);
        assertTrue(Emulator.pending() > 0);
        device.close();
        assertEquals(0, Emulator.pending());
        x.close();
        assertEquals(lost, Emulator.liveBytes());
    }

    @Test
    void tensorsThatOutliveTheDeviceAreFreedWhenTheyAreClosed() {
        Tensor x = tensor(device, 1, 2);
        Tensor staging = memory.allocateStaging(Purpose.DATA, "staging", F32, Shape.of(1));
        device.close();
        says("used after it was closed", IllegalStateException.class, x::toFloatArray);
        assertTrue(device.ledger().total() > 0);
        x.close();
        staging.close();
        assertEquals(0, device.ledger().total());
    }

    @Test
    void timesWorkByTheGpusOwnClock() {
        try (Tensor x = tensor(device, 1, 2)) {
            assertTrue(device.milliseconds(() -> twice(device, x)) >= 0);
            assertEquals(2, x.getFloat(0));
        }
    }

    @Test
    void cuBlasHasNoProductOfF32IntoBf16() {
        says(
                "cuBLAS has no product of F32 matrices into BF16",
                UnsupportedOperationException.class,
                () -> device.matmul(MatmulSpec.dense(F32, ElementType.BF16, false, false, 1, 1, 1)));
    }
}
