package dev.muonium.cli;

import dev.muonium.device.Device;
import dev.muonium.nano.Preset;
import dev.muonium.nano.RunResult;
import dev.muonium.nano.TrainConfig;
import dev.muonium.nano.Trainer;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code muonium train}. */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description = "Train a small GPT on a text and show a sample of what it has learned.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium train",
            "  muonium train --data book.txt --steps 1000 --state fp32",
            "  muonium train --preset test-8bit --set matrix_lr=0.01 --seed 7",
            "  muonium train --save run --set checkpoint_every=50",
            "  muonium train --save run --resume --steps 500",
            "  muonium train --preset medium-3b --steps 1 --set eval_batches=1 --set sample_tokens=0 --device cuda"
        })
final class TrainCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Mixin
    private TrainingOptions training = new TrainingOptions();

    @Option(
            names = "--state",
            paramLabel = "fp32|int8",
            description = "Format of the optimizer state (default: the preset's).")
    private @Nullable StateFormatChoice state;

    @Mixin
    private SavingOptions saving = new SavingOptions();

    @Mixin
    private RecordingOptions recording = new RecordingOptions();

    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Override
    public Integer call() {
        Preset preset = training.preset();
        if (state != null) {
            preset = preset.withTraining(preset.training().with8bitOptim(state.is8bit()));
        }
        TrainConfig config = preset.training();
        PrintWriter out = spec.commandLine().getOut();
        int code = ExitCode.OK;
        try (Device device = deviceOptions.open();
                TrainingSession session = new TrainingSession(device, preset, training::text);
                Trainer trainer = session.trainer(preset);
                SavedRun saved = saving.open(device, preset)) {
            recording.attachTo(trainer, config.steps());
            out.printf(
                    Locale.ROOT,
                    "%s: %,d parameters, %d steps of %,d tokens of %s, %s optimizer state, %s, %s%n",
                    preset.name(),
                    preset.model().parameterCount(),
                    config.steps(),
                    trainer.tokensPerStep(),
                    session.textName(),
                    config.use8bitOptim() ? StateFormatChoice.INT8 : StateFormatChoice.FP32,
                    trainer.precision().describe(),
                    device.describe());
            trainer.gpt().describeFp8().ifPresent(out::println);
            saved.resume(trainer).forEach(out::println);
            out.flush();
            RunResult result;
            try (Progress progress =
                    Progress.of(preset.name(), config.steps(), trainer.tokensPerStep(), device.ledger())) {
                result = trainer.run(preset.name(), progress, saved.saver());
            }
            out.printf(
                    Locale.ROOT,
                    "held-out loss %.4f nats per token, %.0f tokens/s, %.1f ms per step (optimizer %.2f ms)%n",
                    result.valLoss(),
                    result.tokensPerSecond(),
                    result.stepMsMedian(),
                    result.optimizerMsMedian());
            out.printf(
                    Locale.ROOT,
                    "memory: %.2f MiB at the peak, of it %.2f MiB optimizer state and %.2f MiB optimizer workspace;"
                            + " process %.0f MiB, of it %.0f MiB before the text was read%n",
                    mebibytes(result.peakLedgerBytes()),
                    mebibytes(result.optimizerStateBytes()),
                    mebibytes(result.optimizerWorkspaceBytes()),
                    mebibytes(result.peakRssBytes()),
                    mebibytes(session.startBytes()));
            if (result.peakDeviceGrowth() >= 0) {
                out.printf(
                        Locale.ROOT,
                        "GPU by cudaMemGetInfo: %.2f MiB more in use at the peak than before the model was made, %.2f"
                                + " MiB in all%n",
                        mebibytes(result.peakDeviceGrowth()),
                        mebibytes(result.peakDeviceUse()));
            }
            PlanCheck.lines(device, preset, result, session.startBytes(), session.tokens(), saved.saver() != null)
                    .forEach(out::println);
            if (result.nonFiniteSteps() > 0) {
                out.printf(
                        Locale.ROOT,
                        "%d steps were skipped, because a gradient held NaN or an infinity; lower the learning rates%n",
                        result.nonFiniteSteps());
            }
            saved.finish().ifPresent(out::println);
            code = saved.failed() ? ExitCode.CHECK_FAILED : ExitCode.OK;
            if (config.sampleTokens() > 0) {
                out.println();
                out.println(trainer.sample(
                        config.samplePrompt(), config.sampleTokens(), config.sampleTemperature(), config.sampleTopK()));
            }
        }
        out.flush();
        return code;
    }

    private static double mebibytes(long bytes) {
        return bytes / (double) (1 << 20);
    }
}
