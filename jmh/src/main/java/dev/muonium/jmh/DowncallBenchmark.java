package dev.muonium.jmh;

import dev.muonium.bindings.NativeSymbols;
import dev.muonium.bindings.mu.Muonium;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What it costs to enter and leave native code: {@code mu_abi_version} does nothing but return a constant. A critical call skips
 * the thread's change of state, which also keeps the garbage collector waiting, so it suits short leaf calls only.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class DowncallBenchmark {
    private CpuDevice device;

    @Setup
    public void open() {
        device = Device.cpu();
    }

    @TearDown
    public void close() {
        device.close();
    }

    @Benchmark
    public int downcall() {
        return Muonium.mu_abi_version();
    }

    @Benchmark
    public int criticalDowncall() throws Throwable {
        return (int) Critical.ABI_VERSION.invokeExact();
    }

    /** Initialized with the first call, when the library is loaded; static, so that the call is inlined. */
    private static final class Critical {
        static final MethodHandle ABI_VERSION = Linker.nativeLinker()
                .downcallHandle(
                        NativeSymbols.muonium().findOrThrow("mu_abi_version"),
                        FunctionDescriptor.of(ValueLayout.JAVA_INT),
                        Linker.Option.critical(false));
    }
}
