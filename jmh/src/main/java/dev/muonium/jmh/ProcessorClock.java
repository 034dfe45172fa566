package dev.muonium.jmh;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** The time that this process's threads were running, all together: the C library's, because the JDK's counts in ticks of 10 ms. */
final class ProcessorClock {
    private static final int CLOCK_PROCESS_CPUTIME_ID = 2;
    private static final MethodHandle CLOCK_GETTIME = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("clock_gettime"),
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS));

    private final MemorySegment time = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG, 2);

    long nanos() {
        int status;
        try {
            status = (int) CLOCK_GETTIME.invokeExact(CLOCK_PROCESS_CPUTIME_ID, time);
        } catch (Throwable t) {
            throw new IllegalStateException("clock_gettime failed", t);
        }
        if (status != 0) {
            throw new IllegalStateException("clock_gettime failed");
        }
        return time.getAtIndex(ValueLayout.JAVA_LONG, 0) * 1_000_000_000 + time.getAtIndex(ValueLayout.JAVA_LONG, 1);
    }
}
