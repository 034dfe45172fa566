package dev.muonium.pytorch;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** The memory that a module's tensors lie in, and the device that computes there. Not thread-safe. */
sealed interface TensorMemory extends AutoCloseable permits HostMemory, GpuMemory {
    /**
     * The memory that a parameter lies in.
     *
     * @param given the device to work on; null to open one
     * @throws IllegalArgumentException if the parameter lies elsewhere, or where Muonium cannot work
     */
    static TensorMemory of(FoundParameter parameter, @Nullable Device given) {
        try (PointerScope _ = new PointerScope()) {
            org.bytedeco.pytorch.Device there = parameter.tensor().device();
            if (there.is_cpu() && !(given instanceof CudaDevice)) {
                return given instanceof CpuDevice cpu
                        ? new HostMemory(cpu, false)
                        : new HostMemory(Device.cpu(Math.clamp(torch.get_num_threads(), 1, 1024)), true);
            }
            if (there.is_cuda() && !(given instanceof CpuDevice)) {
                return given instanceof CudaDevice gpu
                        ? GpuMemory.over(gpu, there.index())
                        : GpuMemory.open(there.index());
            }
            throw new IllegalArgumentException("parameter '" + parameter.name() + "' lies on "
                    + there.str().getString() + ", and "
                    + (given == null
                            ? "Muonium works on the CPU and on NVIDIA GPUs (cuda)"
                            : "the optimizer was to work on " + given.describe()));
        }
    }

    /** The device that computes on it. */
    Device device();

    /** Whether a tensor lies in it. */
    boolean holds(org.bytedeco.pytorch.Tensor tensor);

    /** The memory of a tensor, in place; close it when the tensor is no longer used. */
    Tensor inPlace(String name, ElementType type, Shape shape, long address);

    /** Makes what the device starts from now on come after what PyTorch has started. */
    void followPyTorch();

    /** Closes the device if it was opened for this. */
    @Override
    void close();
}
