package dev.muonium.jmh;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.DoubleSupplier;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Gives the time of a benchmark's invocation as rates too: nanoseconds per parameter, GB/s, GF/s, and the host's share of it; and the
 * bytes of an optimizer's state. A profiler, because JMH's own counters know no other unit than operations, and a size that is a
 * {@code @Param} cannot be an {@code @OperationsPerInvocation}.
 */
public final class Rates implements InternalProfiler {
    /** What the benchmark of this process does; a process runs one. JMH makes profilers itself and shows them no benchmark. */
    private static volatile Work work = Work.NONE;

    /** Percent of an iteration's time that the host did not wait for a GPU; null where that says nothing. */
    private static volatile DoubleSupplier hostPercent;

    /** Tells what one invocation does; for a benchmark's {@code @Setup}. */
    static void of(Work perInvocation) {
        work = perInvocation;
    }

    /** Tells who knows the percentage of the host's own time since it was last asked; for a benchmark's {@code @Setup}. */
    static void hostPercent(DoubleSupplier sinceLastAsked) {
        hostPercent = sinceLastAsked;
    }

    @Override
    public String getDescription() {
        return "ns per parameter, GB/s and GF/s, where they apply";
    }

    @Override
    public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {}

    @Override
    public Collection<? extends Result<?>> afterIteration(
            BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
        double nanos = result.getPrimaryResult().getScore()
                * TimeUnit.NANOSECONDS.convert(1, benchmark.getTimeUnit())
                * benchmark.getOpsPerInvocation();
        Work done = work;
        List<ScalarResult> rates = new ArrayList<>();
        if (done.parameters() > 0) {
            rates.add(rate("time/param", nanos / done.parameters(), "ns/param"));
        }
        if (done.bytes() > 0) {
            rates.add(rate("bandwidth", done.bytes() / nanos, "GB/s"));
        }
        if (done.flops() > 0) {
            rates.add(rate("rate", done.flops() / nanos, "GF/s"));
        }
        if (done.stateBytes() > 0) {
            rates.add(rate("state", done.stateBytes(), "bytes"));
        }
        DoubleSupplier host = hostPercent;
        if (host != null) {
            rates.add(rate("host", host.getAsDouble(), "%"));
        }
        return rates;
    }

    private static ScalarResult rate(String label, double value, String unit) {
        return new ScalarResult(label, value, unit, AggregationPolicy.AVG);
    }
}
