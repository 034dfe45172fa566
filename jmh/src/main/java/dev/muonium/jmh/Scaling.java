package dev.muonium.jmh;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.optim.Muon;
import dev.muonium.ortho.NewtonSchulz;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * The time of the INT8 Muon step over the number of parameters and of threads, beside what the machine can do at most, measured in
 * the same run before each set.
 */
final class Scaling {
    /**
     * Name of a set and its number of layers: 1.2M to 1.0G parameters, of the widths of GPT-2 and its next larger sister. Work per parameter grows with the width: a step of
     * 1.0G parameters takes half a minute on one core at a width of 1024, and minutes at 4096.
     */
    private static final String SETS =
            "768x768:2,layer-768:1,layer-768:4,layer-768:12,layer-1024:12,layer-1024:32,layer-1024:80";

    /** FP32 weights and gradients, INT8 momentum and some room for workspaces. */
    private static final double BYTES_PER_PARAMETER = 10.5;

    private static final double LARGEST_SHARE_OF_MEMORY = 0.85;
    private static final int FEWEST_STEPS = 3;
    private static final int MOST_STEPS = 25;

    private final Map<String, Double> ceilings = new HashMap<>();
    private final List<ScalingRow> rows = new ArrayList<>();
    private double minutes = 15;
    private List<String> sets = List.of(SETS.split(","));
    private List<Integer> threads = List.of(1, 2);
    private List<Integer> cpus = List.of();
    private String tier = "";
    private Path ceilingsProgram = Path.of("ceilings");
    private Path output = Path.of(".");

    private Scaling() {}

    public static void main(String[] args) throws IOException {
        Scaling scaling = new Scaling();
        try {
            scaling.parse(args);
            scaling.run();
        } catch (IllegalArgumentException | IllegalStateException e) {
            System.err.println("jmh/scaling.sh: " + e.getMessage());
            System.exit(1);
        }
    }

    private void parse(String[] args) {
        if (args.length % 2 != 0) {
            throw new IllegalArgumentException("the option '" + args[args.length - 1] + "' has no value");
        }
        for (int i = 0; i < args.length; i += 2) {
            String value = args[i + 1];
            switch (args[i]) {
                case "--minutes" -> minutes = Double.parseDouble(value);
                case "--sets" -> sets = List.of(value.split(","));
                case "--threads" -> threads = integers(value);
                case "--tier" -> tier = value;
                case "--cpus" -> cpus = integers(value);
                case "--ceilings" -> ceilingsProgram = Path.of(value);
                case "--output" -> output = Path.of(value);
                default ->
                    throw new IllegalArgumentException("there is no option '" + args[i]
                            + "'; use --minutes, --sets, --threads, --tier or --output");
            }
        }
        if (!List.of("", "avx2").contains(tier)) {
            throw new IllegalArgumentException("there is no --tier '" + tier + "'; use avx2, or leave it out");
        }
        for (int count : threads) {
            if (count < 1 || count > cpus.size()) {
                throw new IllegalArgumentException(
                        "--threads " + count + " is not possible: this process may use " + cpus.size() + " cores");
            }
        }
    }

    private static List<Integer> integers(String list) {
        return Stream.of(list.split(",")).map(Integer::valueOf).toList();
    }

    private void run() throws IOException {
        String machine = Processor.name() + ", " + cpus.size() + " cores, "
                + (tier.isEmpty() ? "all instructions" : "held to " + tier) + ", JDK " + Runtime.version();
        System.out.println(machine);
        boolean headed = false;
        for (int count : threads) {
            try (Child muonium = new Child(MuoniumSide.class, cpus.subList(0, count), options(), Map.of())) {
                System.out.println(muonium.ask("describe"));
                if (!headed) {
                    System.out.println("\n" + ScalingReport.header());
                    headed = true;
                }
                List<ScalingRow> measured = new ArrayList<>();
                for (String set : sets) {
                    measure(muonium, set, count, measured);
                }
                // The ceilings are the best of all that were measured, so that the shares are known last.
                for (ScalingRow row : measured) {
                    ScalingRow shared = withCeilings(row);
                    System.out.println(ScalingReport.line(shared));
                    rows.add(shared);
                }
            }
        }
        System.out.println("\n" + ScalingReport.write(output, machine, rows));
    }

    private List<String> options() {
        return tier.isEmpty() ? List.of() : List.of("-Dmuonium.simd=" + tier);
    }

    private void measure(Child muonium, String named, int count, List<ScalingRow> measured) throws IOException {
        String[] parts = named.split(":", 2);
        MatrixSet set = MatrixSet.named(parts[0]).withLayers(parts.length == 1 ? 0 : Integer.parseInt(parts[1]));
        long parameters =
                set.layers() * set.shapes().stream().mapToLong(Shape::elements).sum();
        String label = set.layers() + " × " + parts[0].replace("layer-", "layer of width ");
        muonium.ask("load 8x8 1"); // frees the set before
        if (parameters * BYTES_PER_PARAMETER > LARGEST_SHARE_OF_MEMORY * Processor.availableMemory()) {
            System.err.println(label + " is left out: the machine has no memory for it now");
            return;
        }
        measureCeilings(count);
        muonium.ask("load " + parts[0] + " " + set.layers());
        long deadline = System.nanoTime() + (long) (minutes * 60e9 / sets.size() / threads.size());
        int times = (int)
                Math.max(1, 100e6 / muonium.step(MuoniumSide.DEFAULT, 1, 0).nanos());
        List<Double> millis = new ArrayList<>();
        while (millis.size() < FEWEST_STEPS || (millis.size() < MOST_STEPS && System.nanoTime() < deadline)) {
            millis.add(muonium.step(MuoniumSide.DEFAULT, times, 0).millis());
        }
        Quartiles quartiles =
                Quartiles.of(millis.stream().mapToDouble(Double::doubleValue).toArray());
        measured.add(row(label, set, parameters, count, millis.size(), quartiles));
    }

    private ScalingRow row(String label, MatrixSet set, long parameters, int count, int steps, Quartiles millis) {
        NewtonSchulz policy = policy();
        ElementType iterates = Objects.requireNonNull(policy.precision());
        int kellers = NewtonSchulz.defaults().schedule().steps().size();
        double plain = 0;
        double done = 0;
        for (Shape shape : set.shapes()) {
            long m = shape.extent(0);
            long n = shape.extent(1);
            plain += set.layers() * Work.plainNewtonSchulzFlops(kellers, m, n);
            done += set.layers() * Work.newtonSchulzFlops(policy.wayFor(m, n, iterates), policy.schedule(), m, n);
        }
        // g 4, codes and scales of m 2 · 1.03, w 2 · 4.
        double bytes = parameters * (4 + 2 * (1 + 4.0 / 128) + 8);
        return new ScalingRow(label, parameters, count, steps, plain, done, bytes, millis, Double.NaN, Double.NaN);
    }

    private ScalingRow withCeilings(ScalingRow row) {
        String peak = (policy().precision() == ElementType.BF16 ? "bf16" : "fp32") + " " + row.threads();
        double copy = Math.max(ceiling("copy " + row.threads()), ceiling("non-temporal copy " + row.threads()));
        return new ScalingRow(
                row.label(),
                row.parameters(),
                row.threads(),
                row.steps(),
                row.plainFlops(),
                row.flops(),
                row.bytes(),
                row.millis(),
                ceiling(peak),
                copy);
    }

    private double ceiling(String name) {
        return ceilings.getOrDefault(name, Double.NaN);
    }

    /** The iteration of the measured process, with its precision. */
    private NewtonSchulz policy() {
        try (Device device = Device.cpu(1)) {
            NewtonSchulz policy = Muon.defaults().newtonSchulzOn(device);
            return policy.precision(tier.isEmpty() ? policy.precisionOn(device) : ElementType.F32);
        }
    }

    private void measureCeilings(int count) throws IOException {
        String held = String.join(
                ",", cpus.subList(0, count).stream().map(String::valueOf).toList());
        Process process = new ProcessBuilder(
                        "taskset",
                        "-c",
                        held,
                        ceilingsProgram.toString(),
                        Integer.toString(count),
                        tier.isEmpty() ? "all" : tier)
                .redirectErrorStream(true)
                .start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        for (String line : text.lines().toList()) {
            String[] parts = line.split(",");
            if (parts.length != 2) {
                throw new IOException("the program of ceilings says: " + line);
            }
            ceilings.merge(parts[0] + " " + count, Double.valueOf(parts[1]), Math::max);
        }
    }
}
