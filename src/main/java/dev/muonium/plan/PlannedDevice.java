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
 */
public record PlannedDevice(String name, boolean cuda, int workers, ElementType iterates) {
    private static final int CPU_ALIGNMENT = 64;
    private static final int CUDA_ALIGNMENT = 256;

    /** A device that is there. */
    public static PlannedDevice of(Device device) {
        boolean cuda = device instanceof CudaDevice;
        ElementType iterates = device.isFast(ElementType.BF16) ? ElementType.BF16 : ElementType.F32;
        return new PlannedDevice(
                device.describe(), cuda, cuda ? 1 : device.workers().count(), iterates);
    }

    /** A GPU that multiplies bf16 fast. */
    public static PlannedDevice gpu() {
        return new PlannedDevice("cuda", true, 1, ElementType.BF16);
    }

    /** Every tensor is rounded up to a multiple of this. */
    public long alignment() {
        return cuda ? CUDA_ALIGNMENT : CPU_ALIGNMENT;
    }

    long aligned(long bytes) {
        return (bytes + alignment() - 1) / alignment() * alignment();
    }
}
