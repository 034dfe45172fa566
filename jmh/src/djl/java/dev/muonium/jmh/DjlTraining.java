package dev.muonium.jmh;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.muonium.djl.MuoniumOptimizer;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateFormat;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * DJL's trainer with its own AdamW and with Muonium's optimizers: the same model, weights and batches, taking turns step by step in one
 * process, in an order that alternates.
 *
 * <p>The model tells the next byte from those before it: an embedding, hidden layers with ReLU, a head.
 */
final class DjlTraining {
    private static final int CONTEXT = 24;
    private static final int BATCH = 512;
    private static final int HELD_OUT = 32;

    private final DjlText text;
    private final int steps;
    private final int hidden;
    private final int layers;
    private final float adamW;
    private final float muon;

    private DjlTraining(Path corpus, int steps, int hidden, int layers, float adamW, float muon) throws IOException {
        this.text = new DjlText(corpus, CONTEXT);
        this.steps = steps;
        this.hidden = hidden;
        this.layers = layers;
        this.adamW = adamW;
        this.muon = muon;
    }

    public static void main(String[] args) throws IOException {
        try {
            DjlOptions options = DjlOptions.parse(args);
            new DjlTraining(
                            options.corpus(),
                            options.steps(),
                            options.hidden(),
                            options.layers(),
                            options.adamWRate(),
                            options.muonRate())
                    .run();
        } catch (IllegalArgumentException e) {
            System.err.println("jmh/djl.sh: " + e.getMessage());
            System.exit(1);
        }
    }

    private void run() throws IOException {
        List<DjlSide> sides = List.of(
                side(
                        "DJL's AdamW",
                        block -> Optimizer.adamW()
                                .optLearningRateTracker(rate(adamW))
                                .optWeightDecays(0.01f)
                                .build()),
                side("Muonium, AdamW alone, INT8", block -> muonium(block, StateFormat.INT8, true)),
                side("Muonium, Muon and AdamW, FP32", block -> muonium(block, StateFormat.FP32, false)),
                side("Muonium, Muon and AdamW, INT8", block -> muonium(block, StateFormat.INT8, false)));
        System.out.printf(
                Locale.ROOT,
                "%,d parameters (256×64, %d layers of %d, head), %d steps of %d windows of %d bytes, AdamW %s, Muon %s,"
                        + " %d processors%n",
                sides.getFirst().parameters(),
                layers,
                hidden,
                steps,
                BATCH,
                CONTEXT,
                adamW,
                muon,
                Runtime.getRuntime().availableProcessors());
        List<String> memory = new ArrayList<>();
        for (int step = 0; step < steps; step++) {
            for (int turn = 0; turn < sides.size(); turn++) {
                DjlSide side = sides.get(step % 2 == 0 ? turn : sides.size() - 1 - turn);
                side.train(text.training(step, BATCH));
            }
            if (step == Math.min(steps - 1, 20) || (step + 1) % Math.max(1, steps / 5) == 0) {
                System.gc();
                memory.add(String.format(Locale.ROOT, "%d: %.1f MiB", step + 1, residentBytes() / 1048576.0));
            }
        }
        report(sides, memory);
        sides.forEach(DjlSide::close);
    }

    private DjlSide side(String name, java.util.function.Function<Block, Optimizer> optimizer) {
        return new DjlSide(name, CONTEXT, hidden, layers, steps, optimizer);
    }

    /** Half a cosine from the rate to a tenth of it, for every side. */
    private Tracker rate(float base) {
        return Tracker.cosine()
                .setBaseValue(base)
                .optFinalValue(base / 10)
                .setMaxUpdates(steps)
                .build();
    }

    private Optimizer muonium(Block block, StateFormat state, boolean adamWAlone) {
        MuoniumOptimizer.Builder builder = MuoniumOptimizer.builder(block)
                .optMuon(Muon.defaults().weightDecay(0.01).state(state))
                .optAdamW(AdamW.defaults().weightDecay(0.01).state(state))
                .optMuonLearningRate(rate(muon))
                .optAdamWLearningRate(rate(adamW));
        return adamWAlone
                ? builder.optHead(block.getParameters().keys().toArray(String[]::new))
                        .build()
                : builder.build();
    }

    private void report(List<DjlSide> sides, List<String> memory) throws IOException {
        List<DjlText.Batch> heldOut = IntStream.range(0, HELD_OUT)
                .mapToObj(i -> text.heldOut(i, BATCH))
                .toList();
        DjlSide first = sides.getFirst();
        System.out.printf(
                Locale.ROOT,
                "%n%-31s %14s %8s %14s %8s %14s  %s%n",
                "optimizer",
                "held-out loss",
                "",
                "state bytes",
                "",
                "ms per step",
                "at DJL's own addresses");
        double loss = first.loss(heldOut);
        for (DjlSide side : sides) {
            double own = side.loss(heldOut);
            System.out.printf(
                    Locale.ROOT,
                    "%-31s %14.4f %+7.2f%% %,14d %+7.1f%% %14.2f  %s%n",
                    side.name(),
                    own,
                    100 * (own / loss - 1),
                    stateBytes(side),
                    100 * ((double) stateBytes(side) / stateBytes(first) - 1),
                    side.medianStep(),
                    addresses(side));
        }
        System.out.println(
                "\nloss in nats per byte; state of DJL's AdamW: two FP32 values per parameter, by their shapes;"
                        + " ms per step: median of Trainer.step(), all sides taking turns");
        System.out.println("resident memory of the process behind steps " + String.join(", ", memory));
        System.out.printf(
                Locale.ROOT, "resident memory at the end, with all of it: %.1f MiB%n", residentBytes() / 1048576.0);
    }

    private static long stateBytes(DjlSide side) {
        return side.optimizer() instanceof MuoniumOptimizer muonium
                ? muonium.optimizer().orElseThrow().stateBytes()
                : 2L * Float.BYTES * side.parameters();
    }

    /** How many arrays lie where DJL's own buffers of them do. */
    private static String addresses(DjlSide side) {
        if (!(side.optimizer() instanceof MuoniumOptimizer muonium)) {
            return "";
        }
        List<Parameter> parameters = muonium.optimizer().orElseThrow().parameters();
        int weights = 0;
        int gradients = 0;
        for (Parameter parameter : parameters) {
            NDArray array =
                    side.modelBlock().getParameters().get(parameter.name()).getArray();
            weights += address(array) == parameter.weights().address() ? 1 : 0;
            try (NDArray gradient = array.getGradient()) {
                gradients += address(gradient) == parameter.gradient().address() ? 1 : 0;
            }
        }
        return weights + " of " + parameters.size() + " weights, " + gradients + " of " + parameters.size()
                + " gradients";
    }

    private static long address(NDArray array) {
        return MemorySegment.ofBuffer(array.toByteBuffer(true)).address();
    }

    private static long residentBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
            }
        }
        throw new IOException("/proc/self/status has no VmRSS");
    }
}
