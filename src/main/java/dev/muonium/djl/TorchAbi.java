package dev.muonium.djl;

import dev.muonium.MuoniumException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The two functions of libtorch's C ABI (that of AOTInductor) which tell where a tensor's elements lie. DJL itself only has a buffer, which is a
 * copy of whatever is not contiguous or not in memory of the host, without saying so.
 *
 * <p>libtorch is found by its name among what the process has loaded: DJL loads it before there is an array. Not thread-safe.
 */
final class TorchAbi {
    private static final String LIBRARY = "libtorch_cpu.so";
    private static final FunctionDescriptor QUERY =
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS);

    private final MemorySegment out = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG);
    private final MethodHandle dataPointer;
    private final MethodHandle strides;

    TorchAbi() {
        SymbolLookup lookup;
        try {
            lookup = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
        } catch (IllegalArgumentException e) {
            throw new MuoniumException(
                    "DJL's PyTorch is there, but not " + LIBRARY + ", which tells where its arrays lie", e);
        }
        this.dataPointer = query(lookup, "aoti_torch_get_data_ptr");
        this.strides = query(lookup, "aoti_torch_get_strides");
    }

    private static MethodHandle query(SymbolLookup lookup, String function) {
        MemorySegment address = lookup.find(function)
                .orElseThrow(() -> new MuoniumException("this PyTorch has no function " + function
                        + ", which tells where its arrays lie; use one of version 2.1 or newer"));
        return Linker.nativeLinker().downcallHandle(address, QUERY);
    }

    /** The address of the first element. */
    long dataPointer(long tensor) {
        return ask(dataPointer, "aoti_torch_get_data_ptr", tensor);
    }

    /** Elements from one index to the next, per axis. */
    long[] strides(long tensor, int rank) {
        long address = ask(strides, "aoti_torch_get_strides", tensor);
        return MemorySegment.ofAddress(address)
                .reinterpret((long) rank * Long.BYTES)
                .toArray(ValueLayout.JAVA_LONG);
    }

    private long ask(MethodHandle function, String name, long tensor) {
        int status;
        try {
            status = (int) function.invokeExact(tensor, out);
        } catch (Throwable e) {
            throw new AssertionError("a downcall throws nothing", e);
        }
        if (status != 0) {
            throw new MuoniumException("PyTorch's " + name + " failed with status " + status);
        }
        return out.get(ValueLayout.JAVA_LONG, 0);
    }
}
