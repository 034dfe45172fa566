package dev.muonium.jmh;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.device.Task;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.quant.QuantizedTensor;
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
 * Muon's fused momentum pass (decode m, update it, encode it, write u, add up ‖u‖²) from FP32 gradients, per format of m and element
 * type of u. {@link CopyBenchmark} moves the bytes of INT8 to bf16 and computes nothing.
 *
 * <p>The first size stays in a core's L2 cache and shows the arithmetic, the second fits no cache and shows the memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 700, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class MomentumBenchmark {
    private static final int BLOCK = BlockFormat.DEFAULT_BLOCK;

    @Param({"65536", "67108864"})
    private long parameters;

    @Param({"F32", "INT8_LINEAR", "INT8_DYNAMIC_SIGNED"})
    private BlockFormat momentum;

    @Param({"BF16", "F32"})
    private ElementType update;

    @Param({"1", "2"})
    private int threads;

    private CpuDevice device;
    private Tensor g;
    private QuantizedTensor m;
    private Tensor u;
    private Parts parts;
    private final Task pass = this::pass;

    @Setup
    public void allocate() {
        device = Device.cpu(threads);
        g = device.allocate(Purpose.GRADIENTS, "g", ElementType.F32, Shape.of(parameters));
        m = QuantizedTensor.allocate(device, Purpose.OPTIMIZER_STATE, "m", momentum, BLOCK, parameters);
        u = device.allocate(Purpose.OPTIMIZER_WORKSPACE, "u", update, Shape.of(parameters));
        parts = new Parts(parameters, threads);
        Noise.fill(g.segment());
        Rates.of(new Work(parameters, g.byteSize() + 2.0 * m.byteSize() + u.byteSize(), 0));
    }

    @TearDown
    public void close() {
        g.close();
        m.close();
        u.close();
        device.close();
    }

    @Benchmark
    public void momentum() {
        device.workers().run(parts.count(), pass);
    }

    private void pass(int part, int worker) {
        device.kernels()
                .muonMomentum(
                        momentum,
                        BLOCK,
                        g.segment(),
                        ElementType.F32,
                        1,
                        m.codes(),
                        m.scales(),
                        u.segment(),
                        update,
                        0.95,
                        true,
                        parts.begin(part),
                        parts.end(part));
    }
}
