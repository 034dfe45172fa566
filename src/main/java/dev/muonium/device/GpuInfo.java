package dev.muonium.device;

/**
 * What the driver tells of a GPU.
 *
 * @param ordinal its number, from 0, as {@code CUDA_VISIBLE_DEVICES} leaves it
 * @param name its own name, for example {@code NVIDIA H200}
 * @param major of its compute capability
 * @param minor of its compute capability
 * @param multiprocessors the number of streaming multiprocessors
 * @param bytes its memory; 0 where the driver does not tell
 */
public record GpuInfo(int ordinal, String name, int major, int minor, int multiprocessors, long bytes) {
    /** The compute capability as compilers write it, for example {@code sm_90}. */
    public String architecture() {
        return "sm_" + major + minor;
    }

    /** For example {@code NVIDIA H200, sm_90, 132 multiprocessors, 139.8 GiB}. */
    @Override
    public String toString() {
        return name + ", " + architecture() + ", " + multiprocessors + " multiprocessors"
                + (bytes == 0 ? "" : String.format(java.util.Locale.ROOT, ", %.1f GiB", bytes / 0x1p30));
    }
}
