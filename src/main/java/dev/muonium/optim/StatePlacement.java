package dev.muonium.optim;

import java.nio.file.Path;

/** Where an optimizer keeps its state between steps. The results are the same bits wherever it is. */
public sealed interface StatePlacement {
    /** In the device's memory. */
    static StatePlacement device() {
        return new OnDevice();
    }

    /**
     * In a memory-mapped file, for state that is larger than the memory; on a CPU. What is needed next is read ahead, what was used is
     * written behind and leaves the process's memory, both while the step goes on; the file vanishes with the optimizer.
     *
     * @param folder where the file is made; on a disk, because a file system in memory saves nothing
     */
    static StatePlacement file(Path folder) {
        return new InFile(folder);
    }

    /**
     * In page-locked memory of the host, for a GPU, whose kernels read and write it across the bus while they compute: each value travels once in
     * either direction, as many at a time as the bus takes, and no copy of the state lies on the GPU at any time.
     */
    static StatePlacement host() {
        return new OnHost();
    }

    /** In the device's memory. */
    record OnDevice() implements StatePlacement {}

    /** In page-locked memory of the host. */
    record OnHost() implements StatePlacement {}

    /**
     * In a memory-mapped file.
     *
     * @param folder where the file is made
     */
    record InFile(Path folder) implements StatePlacement {}
}
