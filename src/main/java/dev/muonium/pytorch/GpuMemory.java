package dev.muonium.pytorch;

import dev.muonium.device.CudaDevice;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.util.function.Predicate;

/**
 * Tensors on an NVIDIA GPU. A step of an optimizer waits for the GPU at its end, so PyTorch's work after it needs no care; the work
 * before it is in the device's own stream, or is waited for.
 *
 * @param owned whether closing this closes the device
 * @param isHere whether a tensor lies on that GPU
 * @param pyTorch the stream that PyTorch works in
 * @param shared the stream of PyTorch's that the device works in; 0 if it has one of its own
 */
record GpuMemory(
        CudaDevice device,
        boolean owned,
        Predicate<org.bytedeco.pytorch.Tensor> isHere,
        CurrentStream pyTorch,
        long shared)
        implements TensorMemory {

    /**
     * A device in PyTorch's current stream. CUDA's default stream, which is PyTorch's unless one is chosen, cannot be recorded, and
     * steps are: then the device has a stream of its own.
     */
    static GpuMemory open(byte ordinal) {
        CurrentStream current = new TorchStream(ordinal);
        long handle = current.handle();
        CudaDevice.Builder builder = CudaDevice.builder().ordinal(ordinal);
        CudaDevice device = (handle == 0 ? builder : builder.stream(handle)).open();
        return new GpuMemory(device, true, isOn(ordinal), current, handle);
    }

    /** A device of the caller's, in a stream of which nothing is known. */
    static GpuMemory over(CudaDevice device, byte ordinal) {
        return new GpuMemory(device, false, isOn(ordinal), new TorchStream(ordinal), 0);
    }

    private static Predicate<org.bytedeco.pytorch.Tensor> isOn(byte ordinal) {
        return tensor -> tensor.is_cuda() && tensor.device().index() == ordinal;
    }

    @Override
    public boolean holds(org.bytedeco.pytorch.Tensor tensor) {
        return isHere.test(tensor);
    }

    @Override
    public Tensor inPlace(String name, ElementType type, Shape shape, long address) {
        return device.wrap(name, type, shape, address);
    }

    @Override
    public void followPyTorch() {
        if (shared == 0 || pyTorch.handle() != shared) {
            pyTorch.synchronize();
        }
    }

    @Override
    public void close() {
        if (owned) {
            device.close();
        }
    }
}
