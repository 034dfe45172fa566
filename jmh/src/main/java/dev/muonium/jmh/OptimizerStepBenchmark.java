package dev.muonium.jmh;

import dev.muonium.optim.AdamW;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StepReport;
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
import org.openjdk.jmh.annotations.Warmup;

/**
 * A whole {@link Optimizer#step()}, from the sweep over the gradients to the updated weights, for the hidden matrices of a
 * model (see {@link MatrixSet}); those of GPT-2 small are 84.9M parameters. Weights and gradients are FP32; precision and way of
 * Newton-Schulz are the default policy's. GF/s counts the plain way's work, as in {@link NewtonSchulzBenchmark}.
 *
 * <p>For {@code -prof gc}, which divides all that is allocated in an iteration by the steps in it: the iteration is long, because JMH
 * itself allocates some 7 KB in each, and nothing is torn down, because that would be counted as well; the forked process ends anyway.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 100, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 1, time = 20)
@Fork(1)
public class OptimizerStepBenchmark {
    @Param({"muon", "adamw"})
    private String optimizer;

    @Param({"FP32", "INT8"})
    private StateFormat state;

    @Param({"1", "2"})
    private int threads;

    /** {@code cpu} or {@code cuda}; a GPU has no use for threads. */
    @Param("cpu")
    private String device;

    /** {@code gpt2-small}, {@code d20-e3-full} or {@code 24x2048}. */
    @Param("gpt2-small")
    private String set;

    /** 0: as many as the set has. */
    @Param("0")
    private int layers;

    private SteppedSet model;

    @Setup
    public void build() {
        GroupSpec group = group();
        model = new SteppedSet(
                group, Devices.open(device, threads), MatrixSet.named(set).withLayers(layers));
        Rates.of(model.work());
        if (device.equals("cuda")) {
            Rates.hostPercent(model::hostPercent);
        }
    }

    private GroupSpec group() {
        return switch (optimizer) {
            case "muon" -> Muon.defaults().state(state);
            case "adamw" -> AdamW.defaults().state(state);
            default ->
                throw new IllegalArgumentException("there is no optimizer '" + optimizer + "'; use muon or adamw");
        };
    }

    @Benchmark
    public StepReport step() {
        return model.step();
    }
}
