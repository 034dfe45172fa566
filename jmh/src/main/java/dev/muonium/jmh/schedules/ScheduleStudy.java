package dev.muonium.jmh.schedules;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.PolarFactor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * For each file that {@code ./muonium train --record-updates} wrote, a table in Markdown of what the candidates do to the singular
 * values of its matrices: by the polynomials alone, in FP64, and as the library computes it. Means over the matrices.
 */
final class ScheduleStudy {
    private static final String HEADER = """
        | schedule | work 1:1 | work 1:4 | | least | 1 %% | 5 %% | median | 95 %% | largest | RMS of σ - 1 | cosine | error |
        |---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
        """;

    private ScheduleStudy() {}

    public static void main(String[] files) {
        if (files.length == 0) {
            System.err.println("usage: jmh/schedules.sh FILE...  with files of: ./muonium train --record-updates DIR");
            System.exit(2);
        }
        try (Device device = Device.cpu()) {
            for (String file : files) {
                study(device, Path.of(file));
            }
        }
    }

    private static void study(Device device, Path path) {
        try (Safetensors file = Safetensors.open(path)) {
            List<Update> updates = new ArrayList<>();
            for (String name : file.names()) {
                if (!name.endsWith(".gradient")) {
                    StoredTensor tensor = file.tensor(name);
                    Update update = new Update(tensor);
                    if (!update.isZero()) {
                        updates.add(update);
                    }
                }
            }
            double largest = updates.stream()
                    .mapToDouble(Update::largestOfFrobenius)
                    .average()
                    .orElse(0);
            System.out.printf(
                    Locale.ROOT,
                    "%n**%s**, step %s, %d matrices; the largest singular value is %.2f of the Frobenius norm%n%n",
                    path.getFileName(),
                    file.metadata().get("step"),
                    updates.size(),
                    largest);
            System.out.printf(HEADER);
            for (Candidate candidate : Candidate.all()) {
                row(
                        candidate,
                        "exact",
                        updates.stream().map(u -> u.exactly(candidate)).toList());
                if (!candidate.equilibrated()) {
                    row(candidate, "computed", computed(device, candidate, updates));
                }
            }
        }
    }

    private static void row(Candidate candidate, String how, List<Figures> figures) {
        System.out.printf(
                Locale.ROOT,
                "| %s | %.0f | %.0f | %s |%s%n",
                candidate.name(),
                candidate.work(1),
                candidate.work(4),
                how,
                Figures.mean(figures).cells());
    }

    private static List<Figures> computed(Device device, Candidate candidate, List<Update> updates) {
        List<Figures> figures = new ArrayList<>();
        for (Update update : updates) {
            Shape shape = Shape.of(update.rows(), update.cols());
            try (Tensor x = device.allocate(Purpose.DATA, "update", ElementType.F32, shape);
                    PolarFactor polar = new PolarFactor(candidate.spec(), device, update.rows(), update.cols())) {
                x.copyFrom(update.stored.toFloats());
                polar.apply(x.segment(), ElementType.F32, x.segment(), ElementType.F32);
                float[] result = x.toFloatArray();
                double[] wide = new double[result.length];
                for (int i = 0; i < wide.length; i++) {
                    wide[i] = result[i];
                }
                figures.add(update.of(wide));
            }
        }
        return figures;
    }
}
