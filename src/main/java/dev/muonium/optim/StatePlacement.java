package dev.muonium.optim;

import java.nio.file.Path;

/** Where an optimizer keeps its state between steps. The results are the same bits wherever it is. */
public sealed interface StatePlacement {
    /** In the device's memory. */
    static StatePlacement device() {
        return new OnDevice();
    }

    /**
     * In a memory-mapped file, for state that is larger than the memory. What is needed next is read ahead, what was used is
     * written behind and leaves the process's memory, both while the step goes on; the file vanishes with the optimizer.
     *
     * <p>On a GPU the state passes through page-locked memory of the host as well, by a thread of its own, and then as with {@link #host}. Such a step
     * is started call by call each time, not replayed from a recording, because it waits for the disk.
     *
     * @param folder where the file is made; on a disk, because a file system in memory saves nothing
     */
    static StatePlacement file(Path folder) {
        return new InFile(folder);
    }

    /**
     * In page-locked memory of the host, for a GPU. In a step it is brought to the GPU piece by piece, updated there, and sent back, each direction in a
     * stream of its own beside the computation. The pieces take turns in places of 128 MiB together at most, which the ledger counts as the optimizer's workspace.
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
