package dev.muonium.cli;

import dev.muonium.cli.ChildJvm.ChildFailed;
import dev.muonium.cli.report.ReportFolder;
import dev.muonium.cli.report.TechniqueTable;
import dev.muonium.nano.Preset;
import dev.muonium.nano.RunResult;
import dev.muonium.nano.TrainConfig;
import dev.muonium.nano.Trainer;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** {@code compare --techniques}: one run for each technique, one with all of them, and the baseline that has none. */
final class TechniqueRuns {
    private final TrainingOptions training;
    private final DeviceOptions deviceOptions;
    private final TrainingSession session;
    private final ReportFolder folder;
    private final int pairs;

    TechniqueRuns(
            TrainingOptions training,
            DeviceOptions deviceOptions,
            TrainingSession session,
            ReportFolder folder,
            int pairs) {
        this.training = training;
        this.deviceOptions = deviceOptions;
        this.session = session;
        this.folder = folder;
        this.pairs = pairs;
    }

    /** The runs: what they are called, and which keys make them. */
    private Map<String, Map<String, String>> rows(Preset preset) {
        TrainConfig config = preset.training();
        Map<String, String> halfBatch = Map.of(
                "batch", String.valueOf(Math.max(1, config.batch() / 2)),
                "grad_accum_steps", String.valueOf(config.gradAccumSteps() * (config.batch() > 1 ? 2 : 1)));
        String offload = session.device().memory().isHost() ? "file" : "host";
        Map<String, Map<String, String>> rows = new LinkedHashMap<>();
        rows.put("none, FP32", Map.of());
        rows.put("8-bit state", Map.of("use_8bit_optim", "true"));
        rows.put("accumulation, half the batch", halfBatch);
        rows.put("weight tying", Map.of("weight_tied", "true", "embedding_lr", String.valueOf(config.headLr())));
        rows.put("GaLore, Muon", Map.of("use_galore", "true"));
        rows.put("state offloaded", Map.of("offload_optimizer", offload));
        rows.put("checkpointing, every block", Map.of("activation_checkpointing", "block"));
        rows.put("checkpointing, every 2nd", Map.of("activation_checkpointing", "2"));
        rows.put("FP8 activations", Map.of("fp8_activations", "true"));
        rows.put("FP8 gradients", Map.of("fp8_gradients", "true"));
        rows.put("AdamW for matrices", Map.of("matrix_optimizer", "adamw", "matrix_lr", "0.003"));
        Map<String, String> lossless = new LinkedHashMap<>(halfBatch);
        lossless.putAll(Map.of(
                "use_8bit_optim", "true",
                "offload_optimizer", offload,
                "activation_checkpointing", "block",
                "fp8_activations", "true",
                "fp8_gradients", "true"));
        rows.put("all but GaLore and tying", lossless);
        Map<String, String> all = new LinkedHashMap<>(lossless);
        all.putAll(
                Map.of("use_galore", "true", "weight_tied", "true", "embedding_lr", String.valueOf(config.headLr())));
        rows.put("all together", all);
        return rows;
    }

    /**
     * Trains all and writes {@code techniques.md}, {@code techniques.json} and a picture of the memory.
     *
     * @param preset for its name and learning rates
     */
    void run(Preset preset, PrintWriter terminal) throws ChildFailed, InterruptedException, IOException {
        List<Side> sides = new ArrayList<>();
        rows(preset).forEach((name, changes) -> {
            Map<String, String> all = new LinkedHashMap<>(Map.of("use_8bit_optim", "false"));
            all.putAll(changes);
            sides.add(Side.of(training, name, all));
        });
        terminal.printf(
                Locale.ROOT,
                "%s: %,d parameters, %d runs of %d steps, %s%n",
                preset.name(),
                preset.model().parameterCount(),
                sides.size(),
                preset.training().steps(),
                session.device().describe());
        terminal.flush();
        List<TechniqueTable.Row> rows = new ArrayList<>();
        for (int i = 0; i < sides.size(); i++) {
            Side side = sides.get(i);
            RunResult result =
                    CompareCommand.inProcessOfItsOwn(training, deviceOptions, side, folder, "technique-" + i);
            rows.add(timed(sides.getFirst(), side, result));
        }
        TechniqueTable table =
                new TechniqueTable(preset.name(), session.device().describe(), rows);
        terminal.println();
        table.toText().forEach(terminal::println);
        terminal.println();
        table.write(folder.path()).ifPresent(terminal::println);
        terminal.println("report: " + folder.path().resolve("techniques.md"));
        terminal.flush();
    }

    /** Steps of a run and of the baseline take turns in this process. */
    private TechniqueTable.Row timed(Side baseline, Side side, RunResult result) {
        try (Trainer a = session.trainer(baseline.preset());
                Trainer b = session.trainer(side.preset());
                Progress progress = Progress.of(
                        "speed",
                        PairedSteps.steps(pairs),
                        a.tokensPerStep(),
                        session.device().ledger())) {
            PairedSteps times = PairedSteps.of(a, b, pairs, progress);
            return new TechniqueTable.Row(
                    side.name(),
                    result.timed(
                            b.tokensPerStep() * 1000 / times.candidateMs(),
                            times.candidateMs(),
                            times.candidateOptimizerMs()),
                    times.speed().medianRatio());
        }
    }
}
