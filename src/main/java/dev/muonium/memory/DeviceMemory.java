package dev.muonium.memory;

import java.lang.foreign.MemorySegment;

/**
 * The memory of a device, as everything that runs on it sees it: what lies where, and copies from and to the host. Code that
 * goes through here works on a CPU, whose memory Java reads directly, and on a GPU, whose segments have the length zero, so
 * that Java cannot dereference them.
 *
 * <p>Work that is said to be asynchronous happens in the order of the calls, after every kernel that was started before and
 * before every one that is started later; on a CPU it is done when the call returns.
 *
 * <p>Thread-safe. Allocating throws {@link IllegalStateException} after the device was closed; so does everything on a GPU.
 */
public interface DeviceMemory {
    /** Whether Java may read and write the segments of this device itself. */
    boolean isHost();

    /**
     * Checks memory that kernels only read.
     *
     * @param name what the message calls it
     * @throws IllegalArgumentException if the segment is not memory of this device, not aligned to {@code type}, or smaller than
     *     {@code elements} elements
     * @throws IllegalStateException if it was freed
     */
    void requireReadable(String name, MemorySegment segment, ElementType type, long elements);

    /**
     * Checks memory that kernels write as well.
     *
     * @throws IllegalArgumentException as {@link #requireReadable}, and if the segment is read-only
     */
    void requireWritable(String name, MemorySegment segment, ElementType type, long elements);

    /** The part of a segment that begins at an offset; it lives as long as the whole. */
    MemorySegment slice(MemorySegment segment, long byteOffset, long bytes);

    /** Copies from the host; returns when the host's memory may be changed again. */
    void copyIn(MemorySegment host, long hostOffset, MemorySegment target, long targetOffset, long bytes);

    /** Copies to the host; returns when the bytes are there. */
    void copyOut(MemorySegment source, long sourceOffset, MemorySegment host, long hostOffset, long bytes);

    /** Copies within the device, asynchronously; the two ranges must not overlap. */
    void copy(MemorySegment from, long fromOffset, MemorySegment to, long toOffset, long bytes);

    /** Fills with zero bytes, asynchronously. */
    void zero(MemorySegment segment, long offset, long bytes);

    /**
     * Memory of the host that the device copies from and to without waiting (page-locked on a GPU), which Java reads and writes;
     * filled with zeros, in the ledger, closed by the caller.
     */
    Tensor allocateStaging(Purpose purpose, String name, ElementType type, Shape shape);

    /**
     * Copies from the beginning of staging memory to the beginning of a segment, asynchronously: the staging memory must not be
     * changed before the device is synchronized. May be recorded.
     */
    void stageIn(MemorySegment staging, MemorySegment target, long bytes);

    /**
     * Copies from the beginning of a segment to the beginning of staging memory, asynchronously: the bytes are there when the
     * device is synchronized. May be recorded.
     */
    void stageOut(MemorySegment source, MemorySegment staging, long bytes);
}
