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
import dev.muonium.nano.TextData;
import dev.muonium.nano.Trainer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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
            "Train a small GPT twice, with FP32 and with INT8 optimizer state or in any two configurations, and show"
                    + " both side by side: memory, tokens per second, loss.",
            "Memory and loss come from one process per run, speed from steps of both that take turns in one process."
                    + " Writes report.md, report.json, loss.svg, loss.png and memory.png."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium compare",
            "  muonium compare --preset test-8bit --steps 200 --device cuda",
            "  muonium compare --data book.txt --steps 1000 --out book-report",
            "  muonium compare --preset test-8bit --steps 100 --threads 2",
            "  muonium compare --baseline use_8bit_optim=true --candidate use_galore=true,galore_rank=48",
            "  muonium compare --techniques     each technique alone, and all together, against FP32 with none",
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
            names = "--baseline",
            paramLabel = "KEY=VALUE[,KEY=VALUE]",
            description =
                    "Changes of the preset's keys for the run that is compared with; preset=NAME|FILE takes another"
                            + " (default: FP32 optimizer state).")
    private List<String> baselineChanges = new ArrayList<>();

    @Option(
            names = "--candidate",
            paramLabel = "KEY=VALUE[,KEY=VALUE]",
            description = "Changes of the preset's keys for the run that is compared (default: --state).")
    private List<String> candidateChanges = new ArrayList<>();

    @Option(
            names = "--techniques",
            description = "Compare each technique that makes training fit, alone and all together, with FP32 and none.")
    private boolean techniques;

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
        if (techniques && !(baselineChanges.isEmpty() && candidateChanges.isEmpty())) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--techniques has configurations of its own; leave --baseline and --candidate out");
        }
        Side baseline = baselineChanges.isEmpty()
                ? ofFormat(BASELINE.toString(), BASELINE)
                : Side.parse(training, "--baseline", baselineChanges);
        Side candidate = candidateChanges.isEmpty()
                ? ofFormat(state == BASELINE && baselineChanges.isEmpty() ? state + "-again" : state.toString(), state)
                : Side.parse(training, "--candidate", candidateChanges);
        requireOneText(baseline, candidate);
        TrainingText text = training.text();
        ReportFolder folder = ReportFolder.prepare(out);
        PrintWriter terminal = spec.commandLine().getOut();
        try (Device device = deviceOptions.open();
                TrainingSession session = new TrainingSession(device, baseline.preset(), () -> text)) {
            if (techniques) {
                new TechniqueRuns(training, deviceOptions, session, folder, pairs).run(baseline.preset(), terminal);
                return ExitCode.OK;
            }
            requireTrainable(session, candidate);
            terminal.printf(
                    Locale.ROOT,
                    "%s: %,d parameters, twice %d steps of %s, %s against %s, %s, %s%n",
                    candidate.preset().name(),
                    candidate.preset().model().parameterCount(),
                    candidate.preset().training().steps(),
                    text.name(),
                    baseline.name(),
                    candidate.name() + (candidateChanges.isEmpty() ? " optimizer state" : ""),
                    session.precision().describe(),
                    device.describe());
            terminal.flush();
            RunResult first = inProcessOfItsOwn(training, deviceOptions, baseline, folder, "baseline");
            RunResult second = inProcessOfItsOwn(training, deviceOptions, candidate, folder, "candidate");
            Report report = report(text, session, baseline, candidate, first, second);
            show(report, folder, terminal);
            return ExitCode.OK;
        } catch (ChildFailed e) {
            spec.commandLine().getErr().println("muonium: " + e.getMessage() + ".");
            return e.exitCode();
        }
    }

    private Side ofFormat(String name, StateFormatChoice format) {
        return Side.of(training, name, Map.of("use_8bit_optim", String.valueOf(format.is8bit())));
    }

    private static void requireOneText(Side baseline, Side candidate) {
        Preset a = baseline.preset();
        Preset b = candidate.preset();
        if (!a.tokenizer().equals(b.tokenizer())
                || a.model().context() != b.model().context()) {
            throw new UserMistake(
                    "the configurations read the text differently (" + a.tokenizer() + " tokens in contexts of "
                            + a.model().context() + " against " + b.tokenizer() + " in "
                            + b.model().context()
                            + "); their losses could not be compared");
        }
    }

    /** What a device or a combination of techniques forbids is found when a trainer is made. */
    private static void requireTrainable(TrainingSession session, Side side) {
        try {
            side.preset().precisionOn(session.device());
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }

    static RunResult inProcessOfItsOwn(
            TrainingOptions training, DeviceOptions deviceOptions, Side side, ReportFolder folder, String fileName)
            throws ChildFailed, InterruptedException, IOException {
        Path file = folder.runFile(fileName);
        List<String> arguments = new ArrayList<>(List.of(RunCommand.NAME));
        arguments.addAll(training.toArguments(side.changes()));
        arguments.addAll(deviceOptions.toArguments());
        arguments.addAll(List.of("--name", side.name(), "--result", file.toString()));
        try {
            ChildJvm.run("the " + side.name() + " run", arguments);
            return Json.read(file, RunResult.class);
        } finally {
            Files.deleteIfExists(file);
        }
    }

    private Report report(
            TrainingText text,
            TrainingSession session,
            Side baseline,
            Side candidate,
            RunResult first,
            RunResult second) {
        try (Trainer a = session.trainer(baseline.preset());
                Trainer b = session.trainer(candidate.preset())) {
            long tokens = a.tokensPerStep();
            PairedSteps times;
            try (Progress progress = Progress.of(
                    "speed", PairedSteps.steps(pairs), tokens, session.device().ledger())) {
                times = PairedSteps.of(a, b, pairs, progress);
            }
            return Report.of(
                    Version.number(),
                    candidate.preset(),
                    text.name(),
                    session.tokenizer(),
                    b.precision().describe(),
                    tokens,
                    session.bytesPerToken(),
                    machine(session.device()),
                    first.timed(tokens * 1000 / times.baselineMs(), times.baselineMs(), times.baselineOptimizerMs()),
                    second.timed(
                            b.tokensPerStep() * 1000 / times.candidateMs(),
                            times.candidateMs(),
                            times.candidateOptimizerMs()),
                    times.speed(),
                    TextData.orderTwoCrossEntropy(text.utf8()));
        }
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
