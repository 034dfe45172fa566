package dev.muonium.cli;

import dev.muonium.checkpoint.Safetensors;
import dev.muonium.cli.conform.Check;
import dev.muonium.cli.conform.Replay;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code muonium conform FILE...}. */
@Command(
        name = "conform",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = {
            "Replay recorded trajectories and print the relative error of each.",
            "Recordings are safetensors files of Muon, AdamW, Newton-Schulz or INT8 quantization. The error of weights"
                    + " is relative to the distance that the reference moved. Exit code 1 if an error is beyond its"
                    + " tolerance."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium conform src/test/resources/golden",
            "  muonium conform muon_37x53_nesterov.safetensors adamw_1000.safetensors",
            "  MUONIUM_JAVA_OPTS=-Dmuonium.simd=avx2 muonium conform src/test/resources/golden"
        })
final class ConformCommand implements Callable<Integer> {
    private static final String SUFFIX = ".safetensors";

    @Spec
    private CommandSpec spec;

    @Parameters(arity = "1..*", paramLabel = "FILE", description = "Recordings, or folders of *.safetensors files.")
    private List<Path> files = List.of();

    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Override
    public Integer call() {
        List<Path> recordings = recordings();
        PrintWriter out = spec.commandLine().getOut();
        int width =
                recordings.stream().mapToInt(file -> name(file).length()).max().orElse(0);
        String line = "%-" + width + "s  %-23s  %-19s  %9s  %9s  %s%n";
        int checks = 0;
        int failed = 0;
        try (Device device = deviceOptions.open()) {
            out.println(device.describe());
            if (!device.isFast(ElementType.BF16)) {
                out.println("bf16 is left out: this processor, or the tier that was asked for, does not multiply it"
                        + " natively");
            }
            out.printf(Locale.ROOT, line, "file", "way", "quantity", "error", "allowed", "");
            for (Path file : recordings) {
                try (Safetensors recording = Safetensors.open(file)) {
                    for (Check check : Replay.of(recording).run(device)) {
                        checks++;
                        failed += check.passes() ? 0 : 1;
                        out.printf(
                                Locale.ROOT,
                                line,
                                name(file),
                                check.way(),
                                check.quantity(),
                                figure(check.error()),
                                figure(check.tolerance()),
                                check.passes() ? "ok" : "FAILED");
                    }
                }
                out.flush();
            }
        }
        out.printf(
                Locale.ROOT,
                "%d checks of %d files: %s%n",
                checks,
                recordings.size(),
                failed == 0 ? "all within tolerance" : failed + " BEYOND TOLERANCE");
        return failed == 0 ? ExitCode.OK : ExitCode.CHECK_FAILED;
    }

    private List<Path> recordings() {
        List<Path> recordings = new ArrayList<>();
        for (Path file : files) {
            if (Files.isDirectory(file)) {
                recordings.addAll(recordingsIn(file));
            } else {
                recordings.add(file);
            }
        }
        return recordings;
    }

    private static List<Path> recordingsIn(Path folder) {
        try (Stream<Path> children = Files.list(folder)) {
            List<Path> recordings = children.filter(file -> file.toString().endsWith(SUFFIX))
                    .sorted()
                    .toList();
            if (recordings.isEmpty()) {
                throw new UserMistake("the folder '" + folder + "' has no *" + SUFFIX + " file");
            }
            return recordings;
        } catch (IOException e) {
            throw new UserMistake("the folder '" + folder + "' cannot be listed: " + e.getMessage(), e);
        }
    }

    private static String name(Path file) {
        String name = file.getFileName().toString();
        return name.endsWith(SUFFIX) ? name.substring(0, name.length() - SUFFIX.length()) : name;
    }

    private static String figure(double value) {
        return value == 0 ? "0" : String.format(Locale.ROOT, "%.2e", value);
    }
}
