package dev.muonium.jmh;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.device.Task;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The ceiling of the streaming passes: copies of FP32 arrays as large as {@link MomentumBenchmark}'s gradients. They read 4 and write
 * 4 bytes per parameter, which is what the momentum pass from INT8 to bf16 moves, but for its scales.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 700, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class CopyBenchmark {
    @Param({"65536", "67108864"})
    private long parameters;

    @Param({"1", "2"})
    private int threads;

    private CpuDevice device;
    private Tensor from;
    private Tensor to;
    private Parts parts;
    private final Task copy = this::copy;
    private final Task nonTemporalCopy = this::nonTemporalCopy;

    @Setup
    public void allocate() {
        device = Device.cpu(threads);
        from = device.allocate(Purpose.WORKSPACE, "from", ElementType.F32, Shape.of(parameters));
        to = device.allocate(Purpose.WORKSPACE, "to", ElementType.F32, Shape.of(parameters));
        parts = new Parts(parameters, threads);
        Noise.fill(from.segment());
        Rates.of(new Work(parameters, from.byteSize() + to.byteSize(), 0));
    }

    @TearDown
    public void close() {
        from.close();
        to.close();
        device.close();
    }

    /** The JDK's. */
    @Benchmark
    public void copy() {
        device.workers().run(parts.count(), copy);
    }

    /** The C library's: with glibc, stores bypass the cache in copies of the size that {@code run.sh} sets (4 MiB) or more. */
    @Benchmark
    public void nonTemporalCopy() {
        device.workers().run(parts.count(), nonTemporalCopy);
    }

    private void copy(int part, int worker) {
        MemorySegment.copy(from.segment(), begin(part), to.segment(), begin(part), bytes(part));
    }

    private void nonTemporalCopy(int part, int worker) {
        MemorySegment source = from.segment().asSlice(begin(part));
        MemorySegment target = to.segment().asSlice(begin(part));
        try {
            MemorySegment returned = (MemorySegment) Memcpy.HANDLE.invokeExact(target, source, bytes(part));
            assert returned.address() == target.address();
        } catch (Throwable t) {
            throw new IllegalStateException("memcpy failed", t);
        }
    }

    private long begin(int part) {
        return parts.begin(part) * Float.BYTES;
    }

    private long bytes(int part) {
        return (parts.end(part) - parts.begin(part)) * Float.BYTES;
    }

    private static final class Memcpy {
        static final MethodHandle HANDLE = Linker.nativeLinker()
                .downcallHandle(
                        Linker.nativeLinker().defaultLookup().findOrThrow("memcpy"),
                        FunctionDescriptor.of(
                                ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    }
}
