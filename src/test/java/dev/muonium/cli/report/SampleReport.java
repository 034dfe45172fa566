package dev.muonium.cli.report;

import dev.muonium.cli.report.Report.Reduction;
import dev.muonium.nano.RunResult;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;

/** A report of two runs that never took place. */
final class SampleReport {
    private SampleReport() {}

    static Report of(int steps) {
        RunResult fp32 = run("fp32", steps, 11_010_048, 0.0);
        RunResult int8 = run("int8", steps, 2_838_528, 0.004);
        return new Report(
                "0.1.0",
                "tiny",
                2_752_512,
                steps,
                1,
                "State of the Union addresses 1790-2021",
                "byte",
                "fp32",
                4096,
                1.0,
                new Machine("cpu (avx512, 2 threads)", "A Processor", "avx512", true, 2, "25"),
                List.of(fp32, int8),
                Reduction.of(fp32, int8),
                Speed.of(new double[] {0.98, 1.01, 0.97, 0.99, 1.02}),
                2.012);
    }

    private static RunResult run(String name, int steps, long stateBytes, double offset) {
        Random random = new Random(1);
        List<Double> loss = IntStream.range(0, steps)
                .mapToObj(i -> 1.5 + 4 * Math.exp(-i / (0.12 * steps)) + offset + 0.05 * random.nextGaussian())
                .toList();
        return new RunResult(
                name,
                stateBytes,
                3_145_728,
                Map.of("muon", stateBytes * 3 / 4, "adamw", stateBytes / 4),
                11_010_048,
                0,
                11_010_048,
                62_914_560,
                88_080_384 + stateBytes,
                201_326_592 + stateBytes,
                -1,
                -1,
                24_000,
                170.7,
                18.3,
                loss,
                1.532 + offset,
                0,
                Map.of());
    }
}
