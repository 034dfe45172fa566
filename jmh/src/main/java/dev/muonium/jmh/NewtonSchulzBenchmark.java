package dev.muonium.jmh;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.PolarFactor;
import dev.muonium.ortho.Way;
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
 * Keller's five steps on a random FP32 matrix, per shape, way and precision of the iterates, on one thread unless {@code threads}
 * says otherwise. GF/s counts the work of the plain way whichever way is taken, so that more means sooner; a way that does less work
 * can exceed what the processor can do. On a GPU, {@code -jvmArgsAppend -Dmuonium.squares=full} (or {@code panels/4}) compares ways of
 * computing symmetric products, and {@code count} gives it enough matrices to be busy with.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class NewtonSchulzBenchmark {
    /** {@code rows x cols}. */
    @Param({"768x768", "1024x1024", "2048x2048", "768x3072", "3072x768", "1024x4096"})
    private String shape;

    @Param({"plain", "symmetric", "gram"})
    private String way;

    @Param({"F32", "BF16"})
    private ElementType precision;

    @Param("1")
    private int threads;

    /** {@code cpu} or {@code cuda}; a GPU has no use for threads. */
    @Param("cpu")
    private String device;

    /** Matrices in the stack, which a GPU works on together. */
    @Param("1")
    private int count;

    private Device opened;
    private long rows;
    private long cols;
    private Tensor u;
    private Tensor o;
    private PolarFactor polarFactor;

    @Setup
    public void prepare() {
        String[] sides = shape.split("x", 2);
        rows = Long.parseLong(sides[0]);
        cols = Long.parseLong(sides[1]);
        opened = Devices.open(device, threads);
        u = opened.allocate(Purpose.WORKSPACE, "u", ElementType.F32, Shape.of(count, rows, cols));
        o = opened.allocate(Purpose.WORKSPACE, "o", ElementType.F32, Shape.of(count, rows, cols));
        Noise.fill(opened, u);
        NewtonSchulz spec = NewtonSchulz.defaults().precision(precision).way(way());
        polarFactor = new PolarFactor(spec, opened, rows, cols, count);
        int steps = spec.schedule().steps().size();
        Rates.of(new Work(0, 0, count * Work.plainNewtonSchulzFlops(steps, rows, cols)));
    }

    private Way way() {
        return switch (way) {
            case "plain" -> Way.plain();
            case "symmetric" -> Way.symmetric();
            case "gram" -> Way.gram(precision == ElementType.BF16 ? 2 : 3); // the restart of the default policy
            default ->
                throw new IllegalArgumentException("there is no way '" + way + "'; use plain, symmetric or gram");
        };
    }

    @TearDown
    public void close() {
        polarFactor.close();
        u.close();
        o.close();
        opened.close();
    }

    @Benchmark
    public void newtonSchulz() {
        long stride = rows * cols;
        polarFactor.applyToStack(
                count, u.segment(), ElementType.F32, cols, stride, o.segment(), ElementType.F32, cols, stride);
        opened.synchronize();
    }
}
