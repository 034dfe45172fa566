package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.NativeException;
import dev.muonium.OutOfDeviceMemoryException;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What CUDA can do to a device: run out of memory, refuse a call, fault. On the emulator alone: a GPU cannot be told to. */
@CudaTest
final class CudaFailureTest {
    private static final ElementType F32 = ElementType.F32;
    private static final int ILLEGAL_ADDRESS = 700;
    private static final int UNKNOWN = 999;

    private CudaDevice device;
    /** What devices that broke have left. */
    private long lost;

    @BeforeEach
    void open() {
        assumeTrue(CudaTest.Condition.isEmulated(), "only the emulator can be told to fail");
        Emulator.reset();
        lost = Emulator.liveBytes();
        device = Device.cuda();
    }

    @AfterEach
    void close() {
        if (device != null) {
            Emulator.reset();
            device.close();
            assertEquals(0, device.ledger().total());
            assertEquals(lost, Emulator.liveBytes());
        }
    }

    private Tensor tensor(float... values) {
        Tensor tensor = device.allocate(Purpose.DATA, "x", F32, Shape.of(values.length));
        try {
            tensor.copyFrom(values);
            return tensor;
        } catch (RuntimeException e) {
            tensor.close();
            throw e;
        }
    }

    private void twice(Tensor x) {
        long n = x.elements();
        device.kernels().scale(2, x.segment(), F32, n, x.segment(), F32, n, n, 0, 1);
    }

    private static <T extends Throwable> T says(String part, Class<T> type, Executable call) {
        T thrown = assertThrows(type, call);
        assertTrue(thrown.getMessage().contains(part), thrown.getMessage());
        return thrown;
    }

    @Test
    void outOfMemorySaysWhatWasAskedWhatIsFreeAndWhoHasTheRest() {
        try (Tensor held = device.allocate(Purpose.WEIGHTS, "held", F32, Shape.of(1 << 20))) {
            long before = device.ledger().total();

            OutOfDeviceMemoryException failure = assertThrows(
                    OutOfDeviceMemoryException.class,
                    () -> device.allocate(Purpose.ACTIVATIONS, "huge", F32, Shape.of(1L << 32)));

            assertEquals(1L << 34, failure.asked());
            assertEquals(device.freeBytes(), failure.free());
            String text = failure.getMessage();
            assertTrue(text.startsWith("cuda:0 has no " + (1L << 34) + " bytes for 'huge' (ACTIVATIONS, F32 "), text);
            assertTrue(text.contains(failure.free() + " of its "), text);
            assertTrue(text.contains("           4,194,304  'held' (weights)\n"), text);
            assertTrue(text.contains("for the CUDA context"), text);
            assertTrue(text.contains("need less"), text);
            assertEquals(before, device.ledger().total());
            assertEquals(0, held.getFloat(1)); // the device goes on
        }
    }

    @Test
    void pinnedMemoryThatTheSystemDoesNotGiveIsOutOfMemoryAsWell() {
        Emulator.failNext("cudaHostAlloc", 2);

        OutOfDeviceMemoryException failure = says(
                "page-locked memory for 'staging'",
                OutOfDeviceMemoryException.class,
                () -> device.memory().allocateStaging(Purpose.DATA, "staging", F32, Shape.of(100)));

        assertEquals(512, failure.asked());
        assertTrue(failure.getMessage().contains("held by the ledger of cuda:0"), failure.getMessage());
    }

    @Test
    void memoryThatIsOnlyWaitingToBeFreedIsWaitedFor() {
        Emulator.failNext("cudaMallocFromPoolAsync", 2);
        try (Tensor x = tensor(1, 2)) {
            assertArrayEquals(new float[] {1, 2}, x.toFloatArray());
        }
    }

    @Test
    void aFaultIsReportedByTheNextSynchronizationWithTheNamesOfTheCalls() {
        Tensor x = tensor(1, 2);
        device.synchronize();
        Emulator.faultNextKernel();
        twice(x); // not yet known

        NativeException fault = says("cudaErrorIllegalAddress", NativeException.class, device::synchronize);

        assertEquals("cudaStreamSynchronize", fault.function());
        assertEquals(ILLEGAL_ADDRESS, fault.status());
        assertTrue(
                fault.getMessage().endsWith("on cuda:0; started since the last synchronization: mu_scale"),
                fault.getMessage());
        String broken = "the device cuda:0 is broken and can only be closed: cudaStreamSynchronize failed";
        says(broken, DeviceUnavailableException.class, device::synchronize);
        says(broken, DeviceUnavailableException.class, () -> twice(x));
        says(broken, DeviceUnavailableException.class, () -> tensor(1));
        says(broken, DeviceUnavailableException.class, x::toFloatArray);
        says(broken, DeviceUnavailableException.class, () -> device.record(() -> {}));
        says(broken, DeviceUnavailableException.class, () -> device.matmul(MatmulSpec.f32(false, false, 1, 1, 1)));
        x.close();
        device.close();
        assertEquals(0, device.ledger().total());
        says("used after it was closed", IllegalStateException.class, device::synchronize);
        device = null; // what the fault left in the emulator is not the device's to free
        Emulator.reset();
    }

    @Test
    void aFaultThatNobodyAskedForIsReportedWhenTheDeviceIsClosed() {
        try (CudaDevice other = Device.cuda(1)) {
            try (Tensor x = device.allocate(Purpose.DATA, "x", F32, Shape.of(4))) {
                device.synchronize();
                Emulator.faultNextKernel();
                twice(x);
            }
            says("cudaErrorIllegalAddress", NativeException.class, device::close);
            device.close();
            device = null;
            other.synchronize(); // another GPU goes on
        }
        Emulator.reset();
    }

    @ParameterizedTest
    @CsvSource({
        "cudaMemsetAsync",
        "cudaMallocFromPoolAsync",
        "cudaHostAlloc",
        "cudaMemcpyAsync",
        "cudaStreamSynchronize",
        "cudaSetDevice",
        "cudaStreamBeginCapture",
        "cudaGraphInstantiate",
        "cudaGraphLaunch",
        "cudaEventCreateWithFlags"
    })
    void aCallThatFailsIsNamedAndTheDeviceGoesOn(String call) {
        try (Tensor x = tensor(1, 2)) {
            Emulator.failNext(call, UNKNOWN);

            NativeException failure = says("cudaErrorUnknown", NativeException.class, () -> everything(x));

            assertEquals(call, failure.function());
            assertEquals(UNKNOWN, failure.status());
            float before = x.getFloat(0);
            everything(x);
            assertEquals(before * 4, x.getFloat(0));
        }
    }

    /** Doubles x twice, once by a recording. */
    private void everything(Tensor x) {
        try (Tensor staging = device.memory().allocateStaging(Purpose.DATA, "staging", F32, Shape.of(2))) {
            try (Recording recording = device.record(() -> twice(x))) {
                double _ = device.milliseconds(() -> {});
                device.memory().stageIn(staging.segment(), device.memory().slice(x.segment(), 0, 0), 0);
                device.memory().zero(x.segment(), 8, 0);
                try (Tensor y = tensor(3)) {
                    assertEquals(3, y.getFloat(0));
                }
                device.synchronize();
                recording.replay();
                twice(x);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"cublasGemmEx_64, cublasGemmEx", "cublasGemmStridedBatchedEx_64, cublasGemmStridedBatchedEx"})
    void aProductThatFailsIsNamedAndTheDeviceGoesOn(String call, String named) {
        MatmulSpec spec = MatmulSpec.f32(false, false, 1, 1, 1);
        int executionFailed = 13;
        try (Tensor x = tensor(3, 3);
                Tensor y = tensor(0, 0)) {
            Executable run = () -> {
                device.matmul(spec).run(0, x.segment(), 0, x.segment(), 0, y.segment(), 0);
                device.batchedMatmul(spec, 2, 1, 1, 1).run(x.segment(), 0, x.segment(), 0, y.segment(), 0);
            };
            Emulator.failNext(call, executionFailed);

            NativeException failure = says("CUBLAS_STATUS_EXECUTION_FAILED", NativeException.class, run);

            assertEquals(named, failure.function());
            assertEquals(executionFailed, failure.status());
            device.matmul(spec).run(0, x.segment(), 0, x.segment(), 0, y.segment(), 0);
            assertEquals(9, y.getFloat(0));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "cudaStreamCreateWithFlags",
        "cudaMemPoolCreate",
        "cudaMemPoolSetAttribute",
        "cublasCreate_v2",
        "cublasSetStream_v2",
        "cublasSetWorkspace_v2",
        "cublasSetMathMode",
        "cublasSetAtomicsMode"
    })
    void aDeviceThatCannotBeOpenedLeavesNothing(String call) {
        long before = Emulator.liveBytes();
        Emulator.failNext(call, call.startsWith("cublas") ? 14 : UNKNOWN);

        says(call, dev.muonium.MuoniumException.class, Device::cuda);

        assertEquals(before, Emulator.liveBytes());
        device.synchronize();
    }

    @Test
    void withoutPoolsOfItsOwnTheDefaultPoolIsUsed() {
        int notSupported = 801;
        Emulator.failNext("cudaMemPoolCreate", notSupported);
        try (CudaDevice plain = Device.cuda();
                Tensor x = plain.allocate(Purpose.DATA, "x", F32, Shape.of(4))) {
            assertArrayEquals(new float[4], x.toFloatArray());
        }
    }
}
