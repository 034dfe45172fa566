package dev.muonium.cli;

import dev.muonium.cli.report.PlanChart;
import dev.muonium.cli.report.PlanTable;
import dev.muonium.device.CpuDevice;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptPlan;
import dev.muonium.nano.Offload;
import dev.muonium.nano.Preset;
import dev.muonium.nano.TrainConfig;
import dev.muonium.plan.ByteCount;
import dev.muonium.plan.Fit;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.PlannedDevice;
import dev.muonium.plan.ProcessPlan;
import dev.muonium.plan.Technique;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code muonium plan}. */
@Command(
        name = "plan",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        sortOptions = false,
        description = {
            "Say what training a preset holds in memory, with and without each technique, and how it fits a budget.",
            "Nothing is trained, and no GPU is needed to plan for one. Writes plan.png and plan.svg."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium plan --preset medium-3b --budget 24GB --device cuda",
            "  muonium plan --preset d20-e3-full --budget 4GiB",
            "  muonium plan --preset test-8bit --set batch=16"
        })
final class PlanCommand implements Callable<Integer> {
    /** Tokens of the built-in text, about: a byte each, or four bytes of GPT-2's. */
    private static final long TEXT_BYTES = 10_761_413;

    @Spec
    private CommandSpec spec;

    @Mixin
    private TrainingOptions training = new TrainingOptions();

    @Option(
            names = "--device",
            paramLabel = "cpu|cuda",
            defaultValue = "cpu",
            description = "Device to plan for (default: cpu). A GPU need not be there.")
    private String device = "cpu";

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads of the CPU device (default: one per processor); each has its scratch.")
    private int threads = Runtime.getRuntime().availableProcessors();

    @Option(
            names = "--budget",
            paramLabel = "SIZE",
            description = "Memory that it must fit into, for example 24GB or 8GiB.")
    private @Nullable String budget;

    @Option(names = "--saves", description = "Count the copy from which checkpoints are written in the background.")
    private boolean saves;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "target/report",
            description = "Folder for the pictures (default: target/report).")
    private Path out = Path.of("target", "report");

    @Override
    public Integer call() throws IOException {
        PrintWriter terminal = spec.commandLine().getOut();
        Preset preset = training.preset();
        PlannedDevice planned = device();
        long limit;
        try {
            limit = budget == null ? 0 : ByteCount.parse(budget);
        } catch (IllegalArgumentException e) {
            throw new UserMistake("--budget: " + e.getMessage(), e);
        }
        List<Technique> techniques = offered(preset, planned);
        Map<String, MemoryPlan> rows = new LinkedHashMap<>();
        rows.put(preset.name() + " as it is", plan(preset, planned));
        for (Technique technique : techniques) {
            rows.put("+ " + technique.name(), planWith(List.of(technique), planned));
        }
        terminal.printf(
                Locale.ROOT,
                "%s: %,d parameters, batches of %d × %d tokens, %s, on %s%n%n",
                preset.name(),
                preset.model().parameterCount(),
                preset.training().batch(),
                preset.model().context(),
                GptPlan.precision(preset, planned).describe(),
                planned.name());
        Optional<Fit> fit = Optional.empty();
        if (limit > 0) {
            fit = Fit.cheapest(techniques, chosen -> planWith(chosen, planned), limit);
            fit.ifPresent(found -> {
                if (found.techniques().size() > 1) {
                    rows.put("the cheapest that fits", found.plan());
                }
            });
            Fit smallest = Fit.smallest(techniques, chosen -> planWith(chosen, planned));
            rows.put("all that helps", smallest.plan());
            new PlanTable(rows, limit).toText().forEach(terminal::println);
            terminal.println();
            terminal.println(verdict(preset, limit, fit, smallest));
        } else {
            new PlanTable(rows, 0).toText().forEach(terminal::println);
            terminal.println();
        }
        outside(preset, planned).forEach(terminal::println);
        techniques.forEach(technique -> terminal.printf(
                Locale.ROOT,
                "  %-34s about %.0f %% of the time of a step: %s%n",
                technique.name(),
                100 * technique.cost(),
                technique.why()));
        draw(preset, rows, limit);
        terminal.println("pictures: " + out.resolve("plan.png"));
        terminal.flush();
        return limit > 0 && fit.isEmpty() ? ExitCode.CHECK_FAILED : ExitCode.OK;
    }

    private void draw(Preset preset, Map<String, MemoryPlan> rows, long limit) throws IOException {
        try {
            Files.createDirectories(out);
            Map<String, Map<Purpose, Long>> bars = new LinkedHashMap<>();
            rows.forEach((name, plan) -> bars.put(name, plan.bytes()));
            PlanChart.write("Memory to train " + preset.name(), bars, limit, out, "plan");
        } catch (IOException e) {
            throw new UserMistake("the pictures cannot be written to '" + out + "': " + e.getMessage(), e);
        }
    }

    private PlannedDevice device() {
        if (device.equalsIgnoreCase("cuda")) {
            return PlannedDevice.gpu();
        }
        if (!device.equalsIgnoreCase("cpu")) {
            throw new UserMistake("--device is '" + device + "'; a plan is made for cpu or cuda");
        }
        try (CpuDevice cpu = CpuDevice.open(threads)) {
            return PlannedDevice.of(cpu);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }

    private MemoryPlan plan(Preset preset, PlannedDevice planned) {
        boolean bytes = preset.tokenizer().equals(Preset.BYTE);
        return GptPlan.of(preset, planned, bytes ? TEXT_BYTES : TEXT_BYTES / 4, saves);
    }

    private MemoryPlan planWith(List<Technique> chosen, PlannedDevice planned) {
        Map<String, String> changes = new LinkedHashMap<>();
        chosen.forEach(technique -> changes.putAll(technique.changes()));
        return plan(training.preset(changes), planned);
    }

    /** Those that the preset does not have yet. What was measured is the ratio of {@code compare --techniques} on {@code tiny}, on two cores. */
    private static List<Technique> offered(Preset preset, PlannedDevice planned) {
        TrainConfig config = preset.training();
        List<Technique> offered = new ArrayList<>();
        if (!config.use8bitOptim()) {
            offered.add(new Technique(
                    "8-bit state",
                    Map.of("use_8bit_optim", "true"),
                    1.0,
                    false,
                    "measured on tiny, on a CPU: 1.02, within the noise of a step"));
        }
        if (config.batch() > 1) {
            offered.add(new Technique(
                    "micro-batches of 1",
                    Map.of(
                            "batch",
                            "1",
                            "grad_accum_steps",
                            String.valueOf((long) config.batch() * config.gradAccumSteps())),
                    1.05,
                    false,
                    "estimated for smaller products; half the batch was measured on tiny, on a CPU: 1.00"));
        }
        if (config.techniques().checkpointedBlocks() == 0) {
            offered.add(new Technique(
                    "activation checkpointing",
                    Map.of("activation_checkpointing", "block"),
                    1.14,
                    false,
                    "measured on tiny, on a CPU: forward once more without the last product of each block"));
        }
        if (!config.techniques().fp8Activations()) {
            offered.add(new Technique(
                    "FP8 activations",
                    Map.of("fp8_activations", "true"),
                    1.06,
                    false,
                    "measured on tiny, on a CPU: a pass to and from E4M3 over each activation"));
        }
        if (planned.cuda() && GptPlan.precision(preset, planned).masterWeights()) {
            offered.add(new Technique(
                    "no FP32 master weights",
                    Map.of("master_weights", "false"),
                    1.0,
                    false,
                    "estimated: updates are rounded stochastically"));
        }
        if (planned.cuda() && GptPlan.precision(preset, planned).gradients() == ElementType.F32) {
            offered.add(new Technique(
                    "bf16 gradients", Map.of("gradients", "bf16"), 1.0, false, "estimated: less to write"));
        }
        if (config.techniques().offloadOptimizer() == Offload.NONE) {
            offered.add(new Technique(
                    "state offloaded",
                    Map.of("offload_optimizer", planned.cuda() ? "host" : "file"),
                    1.1,
                    false,
                    "estimated for state that travels in both directions; measured on tiny, whose file stays"
                            + " in memory: 0.99"));
        }
        if (!config.techniques().useGalore()) {
            offered.add(new Technique(
                    "GaLore",
                    Map.of("use_galore", "true"),
                    0.93,
                    true,
                    "measured on tiny, on a CPU; another training, taken only where nothing else fits: compare"
                            + " its loss"));
        }
        return offered;
    }

    private static String verdict(Preset preset, long limit, Optional<Fit> fit, Fit smallest) {
        String size = ByteCount.format(limit);
        if (fit.isEmpty()) {
            return preset.name() + " does not fit " + size + " with any set of techniques; the least it needs is "
                    + ByteCount.format(smallest.plan().peak()) + ", with " + names(smallest) + ".";
        }
        Fit found = fit.get();
        String peak = ByteCount.format(found.plan().peak());
        return found.techniques().isEmpty()
                ? preset.name() + " fits " + size + " as it is: " + peak + " at the peak."
                : String.format(
                        Locale.ROOT,
                        "%s fits %s with %s: %s at the peak, about %.0f %% of the time of a step.",
                        preset.name(),
                        size,
                        names(found),
                        peak,
                        100 * found.cost());
    }

    private static String names(Fit fit) {
        return String.join(", ", fit.techniques().stream().map(Technique::name).toList());
    }

    private List<String> outside(Preset preset, PlannedDevice planned) {
        if (planned.cuda()) {
            return List.of(
                    "Outside of this, on the GPU: the driver's context and cuBLAS, 0.5 to 1 GB; on the host: the JVM"
                            + " and the text.");
        }
        ProcessPlan process = ProcessPlan.of(plan(preset, planned), TrainingOptions.tokenizerBytes(preset));
        List<String> lines = new ArrayList<>();
        lines.add(preset.name() + " as it is will make the process grow by " + ByteCount.format(process.total())
                + " beyond a JVM with the device open (about 110 MiB):");
        process.items().forEach((item, bytes) -> lines.add(String.format("  %-34s %s", item, ByteCount.format(bytes))));
        lines.add("What the techniques cost in time:");
        return lines;
    }
}
