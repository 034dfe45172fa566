package dev.muonium.cli;

import dev.muonium.cli.ChildJvm.ChildFailed;
import dev.muonium.cli.input.TrainingText;
import dev.muonium.cli.report.ComparisonTable;
import dev.muonium.cli.report.Json;
import dev.muonium.cli.report.Machine;
import dev.muonium.cli.report.Report;
import dev.muonium.cli.report.ReportFolder;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.CudaDevice;
import dev.muonium.device.Device;
import dev.muonium.device.DeviceReport;
import dev.muonium.memory.ElementType;
import dev.muonium.nano.Preset;
import dev.muonium.nano.RunResult;
import dev.muonium.nano.Trainer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code muonium compare}. */
@Command(
        name = "compare",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description = {
            "Train a small GPT twice, with FP32 and with INT8 optimizer state, and show both side by side: memory,"
                    + " tokens per second, loss.",
            "Memory and loss come from one process per run, speed from steps of both that take turns in one process."
                    + " Writes report.md, report.json, loss.svg, loss.png and memory.png."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium compare",
            "  muonium compare --preset test-8bit --steps 200 --device cuda",
            "  muonium compare --data book.txt --steps 1000 --out book-report",
            "  muonium compare --preset test-8bit --steps 100 --threads 2",
            "  muonium compare --state fp32     two equal runs, to see what chance does"
        })
final class CompareCommand implements Callable<Integer> {
    private static final StateFormatChoice BASELINE = StateFormatChoice.FP32;

    @Spec
    private CommandSpec spec;

    @Mixin
    private TrainingOptions training = new TrainingOptions();

    @Option(
            names = "--state",
            paramLabel = "int8|fp32",
            defaultValue = "int8",
            description = "Format of the optimizer state to compare with FP32 (default: int8).")
    private StateFormatChoice state = StateFormatChoice.INT8;

    @Option(
            names = "--pairs",
            paramLabel = "N",
            defaultValue = "20",
            description = "Pairs of steps to time (default: 20).")
    private int pairs;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "target/report",
            description = "Folder for the report (default: target/report).")
    private Path out = Path.of("target", "report");

    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Override
    public Integer call() throws InterruptedException, IOException {
        if (pairs < 1) {
            throw new ParameterException(spec.commandLine(), "--pairs is " + pairs + "; it must be at least 1");
        }
        // Everything that can be wrong is looked at before anything is trained.
        Preset preset = training.preset();
        TrainingText text = training.text();
        ReportFolder folder = ReportFolder.prepare(out);
        PrintWriter terminal = spec.commandLine().getOut();
        try (Device device = deviceOptions.open();
                TrainingSession session = new TrainingSession(device, preset, text)) {
            terminal.printf(
                    Locale.ROOT,
                    "%s: %,d parameters, twice %d steps of %s, %s against %s optimizer state, %s, %s%n",
                    preset.name(),
                    preset.model().parameterCount(),
                    preset.training().steps(),
                    text.name(),
                    BASELINE,
                    state,
                    session.precision().describe(),
                    device.describe());
            terminal.flush();
            String candidateName = state == BASELINE ? state + "-again" : state.toString();
            RunResult baseline = inProcessOfItsOwn(BASELINE.toString(), BASELINE, folder);
            RunResult candidate = inProcessOfItsOwn(candidateName, state, folder);
            Report report = report(preset, text, session, baseline, candidate);
            show(report, folder, terminal);
            return ExitCode.OK;
        } catch (ChildFailed e) {
            spec.commandLine().getErr().println("muonium: " + e.getMessage() + ".");
            return e.exitCode();
        }
    }

    private RunResult inProcessOfItsOwn(String name, StateFormatChoice format, ReportFolder folder)
            throws ChildFailed, InterruptedException, IOException {
        Path file = folder.runFile(name);
        List<String> arguments = new ArrayList<>(List.of(RunCommand.NAME));
        arguments.addAll(training.toArguments());
        arguments.addAll(deviceOptions.toArguments());
        arguments.addAll(List.of("--state", format.toString(), "--name", name, "--result", file.toString()));
        try {
            ChildJvm.run("the " + name + " run", arguments);
            return Json.read(file, RunResult.class);
        } finally {
            Files.deleteIfExists(file);
        }
    }

    private Report report(
            Preset preset, TrainingText text, TrainingSession session, RunResult baseline, RunResult candidate) {
        try (Trainer a = trainer(session, preset, BASELINE);
                Trainer b = trainer(session, preset, state)) {
            long tokens = a.tokensPerStep();
            PairedSteps times;
            try (Progress progress = Progress.of(
                    "speed", PairedSteps.steps(pairs), tokens, session.device().ledger())) {
                times = PairedSteps.of(a, b, pairs, progress);
            }
            return Report.of(
                    Version.number(),
                    preset,
                    text.name(),
                    session.tokenizer(),
                    a.precision().describe(),
                    tokens,
                    session.bytesPerToken(),
                    machine(session.device()),
                    timed(baseline, tokens, times.baselineMs(), times.baselineOptimizerMs()),
                    timed(candidate, tokens, times.candidateMs(), times.candidateOptimizerMs()),
                    times.speed(),
                    session.orderTwoCrossEntropy());
        }
    }

    private static Trainer trainer(TrainingSession session, Preset preset, StateFormatChoice format) {
        return session.trainer(preset.withTraining(preset.training().with8bitOptim(format.is8bit())));
    }

    /** The run with the times of the paired steps in place of its own, which another process may have slowed down. */
    private static RunResult timed(RunResult run, long tokensPerStep, double stepMs, double optimizerMs) {
        return new RunResult(
                run.name(),
                run.optimizerStateBytes(),
                run.optimizerWorkspaceBytes(),
                run.optimizerStateBytesByOptimizer(),
                run.weightsBytes(),
                run.masterWeightsBytes(),
                run.gradientsBytes(),
                run.activationsBytes(),
                run.peakLedgerBytes(),
                run.peakRssBytes(),
                run.peakDeviceGrowth(),
                run.peakDeviceUse(),
                tokensPerStep * 1000 / stepMs,
                stepMs,
                optimizerMs,
                run.trainLoss(),
                run.valLoss(),
                run.nonFiniteSteps());
    }

    private static Machine machine(Device device) {
        return switch (device) {
            case CpuDevice cpu -> {
                DeviceReport report = cpu.report();
                yield new Machine(
                        device.describe(),
                        report.processor(),
                        report.tier().toString(),
                        report.nativeBf16(),
                        report.threads(),
                        Runtime.version().toString());
            }
            case CudaDevice cuda ->
                new Machine(
                        device.describe(),
                        cuda.gpu().name(),
                        cuda.gpu().architecture(),
                        cuda.isFast(ElementType.BF16),
                        cuda.workers().count(),
                        Runtime.version().toString());
        };
    }

    private void show(Report report, ReportFolder folder, PrintWriter terminal) {
        String command = "muonium "
                + String.join(" ", spec.commandLine().getParseResult().originalArgs());
        folder.write(report, command).ifPresent(problem -> {
            spec.commandLine().getErr().println("muonium: " + problem + ".");
        });
        terminal.println();
        ComparisonTable.of(report).toText().forEach(terminal::println);
        terminal.println();
        terminal.printf(
                Locale.ROOT,
                "step time %s by %s, %d pairs: median %.3f, quartiles %.3f to %.3f%n",
                report.candidate().name(),
                report.baseline().name(),
                report.speed().pairs(),
                report.speed().medianRatio(),
                report.speed().lowerQuartile(),
                report.speed().upperQuartile());
        terminal.printf(
                Locale.ROOT,
                "held-out losses differ by %.3f %%; an order-2 byte model has %.4f nats per token%n",
                100 * report.valLossDifference(),
                report.order2LossPerToken());
        terminal.println("report: " + folder.path().resolve("report.md"));
        terminal.flush();
    }
}
