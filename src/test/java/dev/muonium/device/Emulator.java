package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/** What {@code native/emulator/include/muonium_emulator.h} lets tests do to the emulated CUDA. */
public final class Emulator {
    private static final SymbolLookup SYMBOLS =
            SymbolLookup.libraryLookup(Path.of(System.getProperty(CudaProbe.PATH), "libcudart.so.13"), Arena.global());

    private Emulator() {}

    /** The next call of this function fails with this error. */
    static void failNext(String function, int error) {
        MethodHandle handle =
                handle("mu_emulator_fail_next", FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            handle.invokeExact(arena.allocateFrom(function), error);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** The next kernel that runs faults. */
    static void faultNextKernel() {
        run("mu_emulator_fault_next_kernel");
    }

    /** Whether the tests run on it. */
    public static boolean isUsed() {
        return CudaTest.Condition.isEmulated();
    }

    /** Whether streams run as early as events let them, not as late. */
    public static void runAhead(boolean ahead) {
        try {
            handle("mu_emulator_run_ahead", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT))
                    .invokeExact(ahead ? 1 : 0);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** Mends everything. */
    static void reset() {
        run("mu_emulator_reset");
    }

    /** Bytes of device memory that are allocated, on all devices. */
    static long liveBytes() {
        return count("mu_emulator_live_bytes");
    }

    /** Work that was started and has not run. */
    static long pending() {
        return count("mu_emulator_pending");
    }

    private static void run(String name) {
        try {
            handle(name, FunctionDescriptor.ofVoid()).invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static long count(String name) {
        try {
            return (long)
                    handle(name, FunctionDescriptor.of(ValueLayout.JAVA_LONG)).invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    private static MethodHandle handle(String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(SYMBOLS.findOrThrow(name), type);
    }
}
