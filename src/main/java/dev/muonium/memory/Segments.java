package dev.muonium.memory;

import java.lang.foreign.MemorySegment;

/** The checks that every segment handed in by a caller passes, each with a sentence that names it. */
public final class Segments {
    private Segments() {}

    /**
     * Checks memory that is only read.
     *
     * @throws IllegalArgumentException if {@code segment} is on the heap, not aligned to {@code type}, or smaller than
     *     {@code elements} elements
     * @throws IllegalStateException if it was freed
     */
    public static void requireOffHeap(String name, MemorySegment segment, ElementType type, long elements) {
        if (!segment.isNative()) {
            throw new IllegalArgumentException("'" + name
                    + "' lies on the Java heap, as a float[] does, where the garbage collector moves it while native"
                    + " code works; allocate it with an Arena, or use a direct or mapped buffer (HostMemory)");
        }
        if (!segment.scope().isAlive()) {
            throw new IllegalStateException("'" + name + "' was used after its arena was closed");
        }
        if (segment.address() % type.byteSize() != 0) {
            throw new IllegalArgumentException(
                    "'" + name + "' starts at address 0x" + Long.toHexString(segment.address())
                            + ", which is not a multiple of the " + type.byteSize() + " bytes of " + type);
        }
        if (segment.byteSize() / type.byteSize() < elements) {
            boolean countable = elements <= Long.MAX_VALUE / type.byteSize();
            throw new IllegalArgumentException("'" + name + "' has " + segment.byteSize() + " bytes; " + elements
                    + " elements of " + type + " need "
                    + (countable ? elements * type.byteSize() : "more than a 64-bit count can hold"));
        }
    }

    /**
     * Checks memory of the host, and lets through what may be memory of a GPU: a segment of length zero at an address, which
     * only the device itself can check.
     *
     * @throws IllegalArgumentException as {@link #requireOffHeap}, and if {@code segment} is to be written and read-only
     * @throws IllegalStateException if it was freed
     */
    public static void requireOffHeapOrDevice(
            String name, MemorySegment segment, ElementType type, long elements, boolean written) {
        requireOffHeap(name, segment, type, isDevice(segment) ? 0 : elements);
        if (written) {
            requireWritable(name, segment, type, 0);
        }
    }

    /** Whether a segment is as those of a GPU are: outside the heap, of length zero, at an address. */
    public static boolean isDevice(MemorySegment segment) {
        return segment.isNative() && segment.byteSize() == 0 && segment.address() != 0;
    }

    /**
     * Checks memory that is written as well.
     *
     * @throws IllegalArgumentException as {@link #requireOffHeap}, and if {@code segment} is read-only
     */
    public static void requireWritable(String name, MemorySegment segment, ElementType type, long elements) {
        requireOffHeap(name, segment, type, elements);
        if (segment.isReadOnly()) {
            throw new IllegalArgumentException("'" + name + "' is read-only, but it is updated in place");
        }
    }
}
