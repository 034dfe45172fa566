package dev.muonium.jmh.numerics;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.device.Device;
import dev.muonium.jmh.Charts;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.PolarFactor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * What the formats of Muon's state do to it: the gradients that {@code ./muonium train --record-updates} wrote at every step are averaged again, in FP64
 * and in each format, and at the last step compared: the momentum that is stored, the update u that is made of it, and its polar factor.
 */
final class MomentumStudy {
    private static final float BETA = 0.95f;
    private static final String GRADIENT = ".gradient";

    private final Device device;
    private final List<Variant> variants;
    private final Map<String, double[]> exact = new LinkedHashMap<>();
    private final Map<String, Shape> shapes = new LinkedHashMap<>();
    /** By variant and matrix, of the last step. */
    private final Map<Variant, Map<String, float[]>> updates = new LinkedHashMap<>();

    private int steps;

    private MomentumStudy(Device device) {
        this.device = device;
        this.variants = Variant.all(device);
        variants.forEach(variant -> updates.put(variant, new LinkedHashMap<>()));
    }

    public static void main(String[] args) throws IOException {
        List<Path> files;
        try (Stream<Path> entries = Files.list(Path.of(args[0]))) {
            files = entries.filter(path -> path.toString().endsWith(".safetensors"))
                    .sorted()
                    .toList();
        }
        if (files.isEmpty()) {
            System.err.println("there are no updates in " + args[0] + "; ./muonium train --record-updates writes them");
            System.exit(2);
        }
        Path output = Files.createDirectories(Path.of(args[1]));
        try (Device device = Device.cpu()) {
            MomentumStudy study = new MomentumStudy(device);
            for (Path file : files) {
                study.step(file);
            }
            study.report();
            study.draw(output);
            study.variants.forEach(Variant::close);
        }
    }

    private void step(Path path) {
        Map<Variant, Distance> distances = new LinkedHashMap<>();
        variants.forEach(variant -> distances.put(variant, new Distance()));
        try (Safetensors file = Safetensors.open(path)) {
            for (String name : file.names()) {
                if (name.endsWith(GRADIENT)) {
                    step(name.substring(0, name.length() - GRADIENT.length()), file.tensor(name), distances);
                }
            }
        }
        distances.forEach((variant, distance) -> variant.record(distance.value()));
        steps++;
    }

    private void step(String matrix, StoredTensor stored, Map<Variant, Distance> distances) {
        float[] gradient = stored.toFloats();
        double[] momentum = exact.computeIfAbsent(matrix, _ -> new double[gradient.length]);
        shapes.putIfAbsent(
                matrix, Shape.of(stored.shape().get(0), stored.shape().get(1)));
        for (int i = 0; i < gradient.length; i++) {
            momentum[i] = BETA * momentum[i] + (1 - BETA) * gradient[i];
        }
        for (Variant variant : variants) {
            StoredMomentum kept = variant.of(matrix, gradient.length);
            updates.get(variant).put(matrix, kept.step(gradient, BETA));
            distances.get(variant).add(kept.values(), momentum);
        }
    }

    private void report() {
        System.out.printf(
                Locale.ROOT, "%d matrices, %d steps, momentum %s%n%n", exact.size(), steps, Float.toString(BETA));
        System.out.println("| state | bytes | rounded once | stored momentum | update u | its polar factor |");
        System.out.println("|---|---:|---:|---:|---:|---:|");
        NewtonSchulz fp32 = NewtonSchulz.fourSteps().precision(ElementType.F32);
        Map<String, float[]> full = updates.get(variants.getFirst());
        Map<String, float[]> orthogonal = polar(fp32, full);
        for (Variant variant : variants) {
            Map<String, float[]> own = updates.get(variant);
            System.out.println(variant.cells(
                    once(variant),
                    variant.errors().getLast(),
                    distance(own, full),
                    distance(polar(fp32, own), orthogonal)));
        }
        System.out.println();
        System.out.println("What else changes the polar factor of the same u in FP32, four steps:");
        System.out.println();
        System.out.println("| | |");
        System.out.println("|---|---:|");
        yardstick(
                "Keller's five steps, FP32",
                polar(NewtonSchulz.defaults().precision(ElementType.F32), full),
                orthogonal);
        if (device.isFast(ElementType.BF16)) {
            yardstick("four steps, bf16", polar(fp32.precision(ElementType.BF16), full), orthogonal);
        }
    }

    private static void yardstick(String name, Map<String, float[]> other, Map<String, float[]> orthogonal) {
        System.out.println("| " + name + " | " + percent(distance(other, orthogonal)) + " |");
    }

    static String percent(double share) {
        return share < 1e-5
                ? String.format(Locale.ROOT, "%.1e", share)
                : String.format(Locale.ROOT, "%.2f %%", 100 * share);
    }

    private double once(Variant variant) {
        Distance distance = new Distance();
        exact.forEach((_, momentum) -> {
            float[] values = new float[momentum.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) momentum[i];
            }
            distance.add(variant.rounded(values), momentum);
        });
        return distance.value();
    }

    private static double distance(Map<String, float[]> own, Map<String, float[]> full) {
        Distance distance = new Distance();
        full.forEach((name, values) -> distance.add(own.get(name), values));
        return distance.value();
    }

    private Map<String, float[]> polar(NewtonSchulz spec, Map<String, float[]> inputs) {
        Map<String, float[]> results = new LinkedHashMap<>();
        inputs.forEach((name, u) -> {
            Shape shape = shapes.get(name);
            try (Tensor x = device.allocate(Purpose.DATA, "update", ElementType.F32, shape);
                    PolarFactor factor = new PolarFactor(spec, device, shape.extent(0), shape.extent(1))) {
                x.copyFrom(u);
                factor.apply(x.segment(), ElementType.F32, x.segment(), ElementType.F32);
                results.put(name, x.toFloatArray());
            }
        });
        return results;
    }

    private void draw(Path output) throws IOException {
        List<Double> x =
                IntStream.rangeClosed(1, steps).mapToObj(step -> (double) step).toList();
        XYChart errors = Charts.of("Error of the momentum that is stored", "Step", "‖m' − m‖/‖m‖, percent");
        errors.getStyler().setLegendPosition(LegendPosition.OutsideE);
        for (Variant variant : variants) {
            if (variant.format != BlockFormat.F32 && !variant.name.matches(".*/(64|256|1024)")) {
                List<Double> percent =
                        variant.errors().stream().map(error -> 100 * error).toList();
                Charts.line(errors, variant.name, x, percent, SeriesMarkers.NONE);
            }
        }
        Charts.write(errors, output.resolve("numerics-error.png"));

        XYChart codes = Charts.of("Codes of the momentum, INT8 linear", "Magnitude of the code", "Share of the values");
        codes.getStyler().setLegendPosition(LegendPosition.InsideNE);
        for (Variant variant : variants) {
            if (variant.name.matches("INT8 linear/(128|512|2048)")) {
                long[] counts = new long[128];
                long all = 0;
                for (Map.Entry<String, double[]> matrix : exact.entrySet()) {
                    variant.of(matrix.getKey(), matrix.getValue().length).countMagnitudes(counts);
                    all += matrix.getValue().length;
                }
                List<Double> magnitudes = new ArrayList<>();
                List<Double> shares = new ArrayList<>();
                for (int i = 0; i < counts.length; i++) {
                    magnitudes.add((double) i);
                    shares.add((double) counts[i] / all);
                }
                System.out.printf(
                        Locale.ROOT, "%n%s: %.2f %% of the codes are 0%n", variant.name, 100 * shares.getFirst());
                Charts.line(codes, variant.name, magnitudes, shares, SeriesMarkers.NONE);
            }
        }
        Charts.write(codes, output.resolve("numerics-codes.png"));
    }
}
