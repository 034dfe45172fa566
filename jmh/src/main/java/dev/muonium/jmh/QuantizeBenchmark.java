package dev.muonium.jmh;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
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
 * FP32 to 8-bit codes and back, on one thread, in a core's L2 cache and where no cache helps. The optimizers never do this by itself:
 * it is part of their fused passes.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 700, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class QuantizeBenchmark {
    @Param({"65536", "67108864"})
    private long parameters;

    @Param({"INT8_LINEAR", "INT8_DYNAMIC_SIGNED"})
    private BlockFormat format;

    @Param({"128", "2048"})
    private int block;

    private CpuDevice device;
    private Tensor values;
    private QuantizedTensor quantized;

    @Setup
    public void allocate() {
        device = Device.cpu(1);
        values = device.allocate(Purpose.WORKSPACE, "values", ElementType.F32, Shape.of(parameters));
        Noise.fill(values.segment());
        quantized = QuantizedTensor.allocate(device, Purpose.OPTIMIZER_STATE, "quantized", format, block, parameters);
        quantize();
        Rates.of(new Work(parameters, values.byteSize() + (double) quantized.byteSize(), 0));
    }

    @TearDown
    public void close() {
        values.close();
        quantized.close();
        device.close();
    }

    @Benchmark
    public void quantize() {
        device.kernels()
                .quantize(
                        format,
                        block,
                        values.segment(),
                        ElementType.F32,
                        quantized.codes(),
                        quantized.scales(),
                        0,
                        parameters);
    }

    @Benchmark
    public void dequantize() {
        device.kernels()
                .dequantize(
                        format,
                        block,
                        quantized.codes(),
                        quantized.scales(),
                        values.segment(),
                        ElementType.F32,
                        0,
                        parameters);
    }
}
