package dev.muonium.cli;

import dev.muonium.checkpoint.Checkpoint;
import dev.muonium.checkpoint.CheckpointException;
import dev.muonium.checkpoint.CheckpointFolder;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.SafetensorsException;
import dev.muonium.checkpoint.StoredTensor;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code muonium inspect}. */
@Command(
        name = "inspect",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = "Show what is inside a safetensors file, a checkpoint, or a folder of checkpoints.",
        footerHeading = "%nExamples:%n",
        footer = {"  muonium inspect run", "  muonium inspect run/step-00000250/optimizer.safetensors"})
final class InspectCommand implements Callable<Integer> {
    private static final String FORMAT = "format of ";

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "FILE|DIR", description = "A safetensors file, or a folder of checkpoints or of one.")
    private Path path = Path.of("");

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try {
            if (!Files.exists(path)) {
                throw new UserMistake("there is no '" + path + "'");
            }
            if (!Files.isDirectory(path)) {
                file(path, out);
            } else if (Files.exists(path.resolve("manifest.json"))) {
                checkpoint(path, out);
            } else {
                folder(out);
            }
        } catch (SafetensorsException | CheckpointException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
        out.flush();
        return ExitCode.OK;
    }

    private void folder(PrintWriter out) {
        List<Path> all = CheckpointFolder.list(path);
        if (all.isEmpty()) {
            throw new UserMistake("there is no checkpoint in '" + path + "'");
        }
        for (Path each : all) {
            try (Checkpoint checkpoint = Checkpoint.open(each)) {
                out.printf(Locale.ROOT, "%s  valid, step %d%n", each.getFileName(), checkpoint.step());
            } catch (CheckpointException e) {
                out.printf(Locale.ROOT, "%s  not valid: %s%n", each.getFileName(), e.getMessage());
            }
        }
    }

    private static void checkpoint(Path folder, PrintWriter out) {
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            out.printf(Locale.ROOT, "valid checkpoint of step %d%n", checkpoint.step());
            checkpoint.values().forEach((key, value) -> out.printf(Locale.ROOT, "  %s = %s%n", key, value));
            for (String part : checkpoint.parts()) {
                out.println();
                show(checkpoint.part(part), out);
            }
        }
    }

    private static void file(Path file, PrintWriter out) {
        try (Safetensors opened = Safetensors.open(file)) {
            show(opened, out);
        }
    }

    private static void show(Safetensors file, PrintWriter out) {
        int width = file.names().stream().mapToInt(String::length).max().orElse(0);
        long bytes = 0;
        out.printf(Locale.ROOT, "%s%n", file.file());
        for (String name : file.names()) {
            StoredTensor tensor = file.tensor(name);
            bytes += tensor.data().byteSize();
            String format = file.metadata().getOrDefault(FORMAT + name, "");
            out.println(String.format(
                            Locale.ROOT,
                            "  %-" + Math.max(1, width) + "s  %-7s %-16s %,16d bytes  %s",
                            name,
                            tensor.type(),
                            tensor.shape(),
                            tensor.data().byteSize(),
                            format)
                    .stripTrailing());
        }
        out.printf(Locale.ROOT, "%d tensors, %,d bytes%n", file.names().size(), bytes);
        file.metadata().forEach((key, value) -> {
            if (!key.startsWith(FORMAT)) {
                out.printf(Locale.ROOT, "  %s: %s%n", key, value);
            }
        });
    }
}
