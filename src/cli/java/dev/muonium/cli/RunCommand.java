package dev.muonium.cli;

import dev.muonium.cli.report.Json;
import dev.muonium.device.Device;
import dev.muonium.nano.Preset;
import dev.muonium.nano.Trainer;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** One run of {@code compare}, in a process of its own: trains and writes what it measured. */
@Command(name = RunCommand.NAME, hidden = true, description = "One run of compare, in a process of its own.")
final class RunCommand implements Callable<Integer> {
    static final String NAME = "run-for-compare";

    @Mixin
    private TrainingOptions training = new TrainingOptions();

    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Option(names = "--name", required = true, description = "Name of the run.")
    private String name = "";

    @Option(names = "--result", required = true, description = "File to write the result to.")
    private Path result = Path.of("");

    @Override
    public Integer call() {
        Preset preset = training.preset();
        try (Device device = deviceOptions.open();
                TrainingSession session = new TrainingSession(device, preset, training::text);
                Trainer trainer = session.trainer(preset);
                Progress progress =
                        Progress.of(name, preset.training().steps(), trainer.tokensPerStep(), device.ledger())) {
            Json.write(trainer.run(name, progress), result);
        }
        return ExitCode.OK;
    }
}
