package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A module whose tensors lie in memory of an emulated GPU, of which PyTorch knows nothing: it only says where they are. Work on that GPU is done no sooner than
 * somebody waits for it, so that a step which does not follow what PyTorch has started reads old gradients.
 */
@PyTorchTest
final class GpuMemoryTest {
    private static final Shape MATRIX = Shape.of(24, 40);
    private static final Shape VECTOR = Shape.of(40);
    private static final int STEPS = 6;
    private static final Muon MUON = Muon.defaults().state(StateFormat.INT8);
    private static final AdamW ADAM_W = AdamW.defaults().state(StateFormat.INT8);

    private final List<Runnable> releases = new ArrayList<>();
    private CudaDevice pyTorch;
    private Tensor matrix;
    private Tensor vector;
    private Module module;
    private long stream;

    @BeforeEach
    void makeAModuleOnTheGpu() {
        assumeTrue(
                PyTorchTest.CudaFirst.isEmulated(),
                "PyTorch cannot be told of a real GPU's memory that it did not allocate");
        stream = newStream();
        pyTorch = CudaDevice.builder().stream(stream).open();
        releases.add(pyTorch::close);
        matrix = tensor(pyTorch, "matrix", MATRIX, 1);
        vector = tensor(pyTorch, "vector", VECTOR, 2);
        pyTorch.synchronize();
        module = new Module("on a GPU");
        module.register_parameter("matrix", torchTensor(matrix));
        module.register_parameter("vector", torchTensor(vector));
    }

    @AfterEach
    void free() {
        while (!releases.isEmpty()) {
            releases.removeLast().run();
        }
    }

    @Test
    void stepsInPyTorchsStreamWithoutWaitingForIt() {
        Current current = new Current(stream);
        train(new GpuMemory(CudaDevice.builder().stream(stream).open(), true, _ -> true, current, stream));

        assertEquals(0, current.waits);
    }

    @Test
    void waitsForPyTorchWhereItIsInAnotherStream() {
        Current current = new Current(0);
        train(new GpuMemory(Device.cuda(), true, _ -> true, current, 0));

        assertEquals(STEPS, current.waits);
    }

    @Test
    void waitsForPyTorchWhereItHasChangedItsStream() {
        long before = newStream();
        Current current = new Current(stream);
        train(new GpuMemory(CudaDevice.builder().stream(before).open(), true, _ -> true, current, before));

        assertEquals(STEPS, current.waits);
    }

    @Test
    void memoryOfTheHostIsRefused() {
        GpuMemory memory = new GpuMemory(Device.cuda(), true, _ -> true, new Current(0), 0);
        Module onHost = new Module("on the host");
        onHost.register_parameter("weight", torch.zeros(4, 4));

        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> builder(onHost, memory).build())
                .getMessage();

        assertTrue(message.contains("is not memory of a GPU; copy it to a tensor of cuda:0"), message);
        assertThrows(
                IllegalStateException.class,
                () -> memory.device().memory().zero(MemorySegment.ofAddress(1), 0, 1),
                "the device is closed with a build that failed");
    }

    @Test
    void aPyTorchWithoutCudaSaysSo() {
        String message = assertThrows(DeviceUnavailableException.class, () -> new TorchStream((byte) 0).handle())
                .getMessage();

        assertTrue(message.startsWith("PyTorch does not say which stream it works in on cuda:0 ("), message);
        assertTrue(message.contains("linux-x86_64-gpu"), message);
    }

    /** The same steps as the library's optimizer takes on another device, over the same values. */
    private void train(GpuMemory memory) {
        try (ModuleOptimizer optimizer = builder(module, memory).build();
                CudaDevice other = Device.cuda();
                Tensor plainMatrix = tensor(other, "matrix", MATRIX, 1);
                Tensor plainVector = tensor(other, "vector", VECTOR, 2);
                Optimizer plain =
                        Optimizer.builder(other).group(MUON).group(ADAM_W).build()) {
            for (int step = 0; step < STEPS; step++) {
                // Gradients of two steps at a time are alive, so that they lie elsewhere in every step.
                Tensor ofMatrix = tensor(pyTorch, "gradient", MATRIX, 10 + step);
                Tensor ofVector = tensor(pyTorch, "gradient", VECTOR, 50 + step);
                setGradient("matrix", ofMatrix);
                setGradient("vector", ofVector);
                optimizer.step();
                assertEquals(
                        List.of(ofMatrix.segment().address(), ofVector.segment().address()),
                        optimizer.parameters().stream()
                                .map(parameter -> parameter.gradient().address())
                                .toList());
                try (Tensor sameOfMatrix = tensor(other, "gradient", MATRIX, 10 + step);
                        Tensor sameOfVector = tensor(other, "gradient", VECTOR, 50 + step)) {
                    if (step == 0) {
                        plain.add(Parameter.of(ParameterKind.MATRIX, plainMatrix, sameOfMatrix));
                        plain.add(Parameter.of(ParameterKind.VECTOR, plainVector, sameOfVector));
                    }
                    plain.parameters().get(0).gradient(sameOfMatrix.segment());
                    plain.parameters().get(1).gradient(sameOfVector.segment());
                    plain.step();
                }
                pyTorch.synchronize();
                assertArrayEquals(plainMatrix.toFloatArray(), matrix.toFloatArray());
                assertArrayEquals(plainVector.toFloatArray(), vector.toFloatArray());
            }
        }
    }

    private static ModuleOptimizer.Builder builder(Module module, GpuMemory memory) {
        return ModuleOptimizer.builder(module)
                .withoutHead()
                .group(MUON)
                .group(ADAM_W)
                .memory(memory);
    }

    private void setGradient(String parameter, Tensor gradient) {
        Torch.parameter(module, parameter).mutable_grad().put(torchTensor(gradient));
    }

    /** Filled asynchronously, in the stream of the device. */
    private Tensor tensor(CudaDevice device, String name, Shape shape, long seed) {
        Tensor staging = device.memory().allocateStaging(Purpose.DATA, name, ElementType.F32, shape);
        releases.add(staging::close);
        Random random = new Random(seed);
        for (long i = 0; i < shape.elements(); i++) {
            staging.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
        }
        Tensor tensor = device.allocate(Purpose.DATA, name, ElementType.F32, shape);
        releases.add(tensor::close);
        device.memory().stageIn(staging.segment(), tensor.segment(), tensor.byteSize());
        return tensor;
    }

    private static org.bytedeco.pytorch.Tensor torchTensor(Tensor tensor) {
        long[] extents = new long[tensor.shape().rank()];
        for (int axis = 0; axis < extents.length; axis++) {
            extents[axis] = tensor.shape().extent(axis);
        }
        return torch.from_blob(new Address(tensor.segment().address()), extents);
    }

    private long newStream() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            assertEquals(0, CudaRuntime.cudaStreamCreateWithFlags(out, CudaRuntime.cudaStreamNonBlocking()));
            MemorySegment made = out.get(ValueLayout.ADDRESS, 0);
            releases.addFirst(() -> assertEquals(0, CudaRuntime.cudaStreamDestroy(made)));
            return made.address();
        }
    }

    /** A pointer of JavaCPP to memory that is not its own. */
    private static final class Address extends Pointer {
        Address(long at) {
            address = at;
        }
    }

    /** What PyTorch would say of its stream. */
    private final class Current implements CurrentStream {
        private final long handle;
        private int waits;

        Current(long handle) {
            this.handle = handle;
        }

        @Override
        public long handle() {
            return handle;
        }

        @Override
        public void synchronize() {
            waits++;
            pyTorch.synchronize();
        }
    }
}
