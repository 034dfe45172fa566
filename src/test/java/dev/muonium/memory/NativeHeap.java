package dev.muonium.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** The C library's heap, from which PyTorch on the CPU takes all memory of tensors. */
public final class NativeHeap {
    /** glibc's {@code struct mallinfo2}: ten counts, the fifth of mapped bytes, the eighth of bytes given out elsewhere. */
    private static final MemoryLayout COUNTS =
            MemoryLayout.structLayout(MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG));

    private static final int MAPPED = 4;
    private static final int GIVEN_OUT = 7;

    private static final MethodHandle MALLINFO = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("mallinfo2"), FunctionDescriptor.of(COUNTS));

    private NativeHeap() {}

    public static long bytesInUse() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment counts = (MemorySegment) MALLINFO.invokeExact((SegmentAllocator) arena);
            return counts.getAtIndex(ValueLayout.JAVA_LONG, MAPPED)
                    + counts.getAtIndex(ValueLayout.JAVA_LONG, GIVEN_OUT);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
