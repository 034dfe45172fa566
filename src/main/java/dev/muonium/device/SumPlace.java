package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/** Where a kernel puts its sum, and how it comes back to Java. Taken before a call and given back after it, whatever happens. */
interface SumPlace {
    /** Room for one double that the kernel can write. */
    MemorySegment take();

    /** What the kernel wrote; waits for the kernel. */
    double read(MemorySegment place);

    void give();
}
