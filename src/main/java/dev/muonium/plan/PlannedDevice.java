package dev.muonium.plan;

import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;

/**
 * What a plan needs to know of a device; none needs to be there.
 *
 * @param name for reports
 * @param cuda whether it is a GPU, whose optimizer steps by batches of matrices
 * @param workers threads that compute, on a CPU
 * @param iterates the precision of Newton-Schulz: BF16 where its products are fast, else F32
 * @param fp8Products whether it multiplies in FP8
 */
public record PlannedDevice(String name, boolean cuda, int workers, ElementType iterates, boolean fp8Products) {
    private static final int CPU_ALIGNMENT = 64;
    private static final int CUDA_ALIGNMENT = 256;

    /** A device that is there. */
    public static PlannedDevice of(Device device) {
        boolean cuda = device instanceof CudaDevice;
        ElementType iterates = device.isFast(ElementType.BF16) ? ElementType.BF16 : ElementType.F32;
        return new PlannedDevice(
                device.describe(),
                cuda,
                cuda ? 1 : device.workers().count(),
                iterates,
                device.fp8().available());
    }

    /** A CPU, or a GPU that is older than FP8 products. */
    public PlannedDevice(String name, boolean cuda, int workers, ElementType iterates) {
        this(name, cuda, workers, iterates, false);
    }

    /** A GPU of compute capability 8.9 or newer: it multiplies bf16 fast, and FP8 as well. */
    public static PlannedDevice gpu() {
        return new PlannedDevice("cuda", true, 1, ElementType.BF16, true);
    }

    /** Every tensor is rounded up to a multiple of this. */
    public long alignment() {
        return cuda ? CUDA_ALIGNMENT : CPU_ALIGNMENT;
    }

    long aligned(long bytes) {
        return (bytes + alignment() - 1) / alignment() * alignment();
    }
}
