package dev.muonium.jmh.pytorch;

import dev.muonium.optim.AdamW;
import dev.muonium.optim.Muon;
import dev.muonium.optim.StateFormat;
import dev.muonium.pytorch.ModuleOptimizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.global.torch;

/**
 * Trains {@link ByteMlp} on the State of the Union addresses with PyTorch's AdamW, with Muonium's, and with Muon and AdamW, and prints one
 * table.
 */
final class ModuleTraining {
    private static final double ADAM_W_RATE = 1e-3;
    private static final double MUON_RATE = 0.02;
    private static final double WEIGHT_DECAY = 0.01;

    private final ByteText text;
    private final int steps;
    private final int batch;

    private ModuleTraining(ByteText text, int steps, int batch) {
        this.text = text;
        this.steps = steps;
        this.batch = batch;
    }

    /** Arguments: the text, gzipped; steps, at least 4; rows of a batch; threads. */
    public static void main(String[] args) throws IOException {
        torch.set_num_threads(Integer.parseInt(args[3]));
        ByteText text = ByteText.read(Path.of(args[0]), ByteMlp.CONTEXT);
        int steps = Integer.parseInt(args[1]);
        if (steps < 4) {
            System.err.println("jmh/pytorch.sh: --steps is " + steps + "; it must be at least 4");
            System.exit(2);
        }
        new ModuleTraining(text, steps, Integer.parseInt(args[2])).run();
    }

    private void run() {
        System.out.printf(
                Locale.ROOT,
                "libtorch (JavaCPP %s), %d threads; %,d bytes of text, %d steps of %d rows of %d bytes%n",
                torch.class.getPackage().getImplementationVersion(),
                torch.get_num_threads(),
                text.length(),
                steps,
                batch,
                ByteMlp.CONTEXT);
        System.out.printf(
                Locale.ROOT,
                "held-out loss before training: %.4f nats per byte%n%n",
                TrainingRun.heldOut(new ByteMlp(1), text, batch));
        List<TrainingRun.Result> results = new ArrayList<>();
        // Once unmeasured, so that no row pays for what a process does only once.
        TrainingRun.run("warm-up", text, 20, batch, model -> muon(model, StateFormat.INT8));
        results.add(TrainingRun.run(
                "PyTorch AdamW", text, steps, batch, model -> new PyTorchAdamW(model, ADAM_W_RATE, WEIGHT_DECAY)));
        results.add(
                TrainingRun.run("Muonium AdamW, FP32", text, steps, batch, model -> adamW(model, StateFormat.FP32)));
        results.add(
                TrainingRun.run("Muonium AdamW, INT8", text, steps, batch, model -> adamW(model, StateFormat.INT8)));
        results.add(TrainingRun.run(
                "Muonium Muon and AdamW, FP32", text, steps, batch, model -> muon(model, StateFormat.FP32)));
        results.add(TrainingRun.run(
                "Muonium Muon and AdamW, INT8", text, steps, batch, model -> muon(model, StateFormat.INT8)));
        System.out.println(table(results));
    }

    private static Stepper adamW(ByteMlp model, StateFormat state) {
        return new Muonium(
                model,
                ModuleOptimizer.builder(model).group(adamW(state), name -> true).build());
    }

    private static Stepper muon(ByteMlp model, StateFormat state) {
        return new Muonium(
                model,
                ModuleOptimizer.builder(model)
                        .head(ByteMlp.HEAD)
                        .group(Muon.defaults()
                                .learningRate(MUON_RATE)
                                .weightDecay(WEIGHT_DECAY)
                                .state(state))
                        .group(adamW(state))
                        .build());
    }

    private static AdamW adamW(StateFormat state) {
        return AdamW.defaults()
                .learningRate(ADAM_W_RATE)
                .weightDecay(WEIGHT_DECAY)
                .state(state);
    }

    private static String table(List<TrainingRun.Result> results) {
        StringBuilder table =
                new StringBuilder("| optimizer | held-out loss, nats per byte | state, bytes | optimizer step, ms"
                        + " | forward and backward, ms | native memory in use over the run, MiB | steps in place |\n"
                        + "|---|---:|---:|---:|---:|---|---:|\n");
        for (TrainingRun.Result result : results) {
            table.append(String.format(
                    Locale.ROOT,
                    "| %s | %.4f | %,d | %.2f | %.2f | %s | %s |%n",
                    result.name(),
                    result.loss(),
                    result.stateBytes(),
                    result.stepMillis(),
                    result.otherMillis(),
                    result.heap().stream()
                            .map(bytes -> String.format(Locale.ROOT, "%.1f", bytes / (double) (1 << 20)))
                            .collect(Collectors.joining(" ")),
                    result.inPlace()));
        }
        return table.append("\n"
                        + "Native memory: what the C library has given out, without gradients and activations,"
                        + " after the first step and each quarter. In place: weights and gradients that the step"
                        + " used had the addresses of the module's tensors.")
                .toString();
    }
}
