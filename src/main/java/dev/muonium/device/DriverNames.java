package dev.muonium.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;

/**
 * Names and sizes of GPUs from the driver itself: the runtime has them only in {@code cudaDeviceProp}, whose layout changed between
 * CUDA 12 and 13, and tells the size only of a GPU that is in use. Both are for reports, so a driver that does not tell is no error.
 */
final class DriverNames {
    private static final int LONGEST = 256;

    private final SymbolLookup driver;

    DriverNames(SymbolLookup driver) {
        this.driver = driver;
        call("cuInit", ValueLayout.JAVA_INT, 0);
    }

    String name(int ordinal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(LONGEST);
            FunctionDescriptor type = FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
            return isDone("cuDeviceGetName", type, name, LONGEST, ordinal) ? name.getString(0) : "NVIDIA GPU";
        }
    }

    long bytes(int ordinal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(ValueLayout.JAVA_LONG);
            FunctionDescriptor type =
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
            return isDone("cuDeviceTotalMem_v2", type, bytes, ordinal) ? bytes.get(ValueLayout.JAVA_LONG, 0) : 0;
        }
    }

    private void call(String function, MemoryLayout argument, Object value) {
        isDone(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, argument), value);
    }

    private boolean isDone(String function, FunctionDescriptor type, Object... arguments) {
        MemorySegment address = driver.find(function).orElse(MemorySegment.NULL);
        if (address.equals(MemorySegment.NULL)) {
            return false;
        }
        try {
            Object status = Linker.nativeLinker().downcallHandle(address, type).invokeWithArguments(arguments);
            return status.equals(0);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError("a native function throws nothing", e);
        }
    }
}
