package dev.muonium.cli;

import dev.muonium.cli.input.TrainingText;
import dev.muonium.device.Device;
import dev.muonium.memory.ResidentMemory;
import dev.muonium.nano.Precision;
import dev.muonium.nano.Preset;
import dev.muonium.nano.TextData;
import dev.muonium.nano.Tokenizer;
import dev.muonium.nano.Trainer;
import java.util.function.Supplier;

/**
 * A text in tokens on a device, and the trainers that learn from it. Owns the tokens; the device is the caller's. The text itself is not kept.
 */
final class TrainingSession implements AutoCloseable {
    private final Device device;
    private final Tokenizer tokenizer;
    private final String textName;
    private final long textBytes;
    private final Precision precision;
    private final TextData data;
    private final long startBytes;

    /**
     * @param source gives the text, which is asked for once
     * @throws UserMistake if the device cannot train such a model, or the text is too short for the preset's context
     */
    TrainingSession(Device device, Preset preset, Supplier<TrainingText> source) {
        this.startBytes = ResidentMemory.bytes();
        this.device = device;
        this.tokenizer = TrainingOptions.tokenizer(preset);
        Read read;
        try {
            this.precision = preset.precisionOn(device);
            read = read(source, preset.model().context());
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
        this.textName = read.name();
        this.textBytes = read.bytes();
        this.data = read.data();
        // Training makes so little garbage that what reading and encoding left behind would stay resident to its end.
        System.gc();
    }

    /** What is kept of a text. */
    private record Read(String name, long bytes, TextData data) {}

    /** In a method of its own, so that nothing on the stack holds the text any more when the garbage is collected. */
    private Read read(Supplier<TrainingText> source, int context) {
        TrainingText text = source.get();
        TextData tokens = new TextData(device, tokenizer, "'" + text.name() + "'", text.utf8(), context);
        return new Read(text.name(), text.utf8().length, tokens);
    }

    /** A new trainer, which the caller closes before this. */
    Trainer trainer(Preset preset) {
        return new Trainer(device, preset, tokenizer, data);
    }

    Device device() {
        return device;
    }

    /** Of the preset's model on the device. */
    Precision precision() {
        return precision;
    }

    String tokenizer() {
        return tokenizer.name();
    }

    /** Of the whole text, on average. */
    double bytesPerToken() {
        return textBytes / (double) (data.trainingTokens() + data.validationTokens());
    }

    /** Of the whole text. */
    long tokens() {
        return data.trainingTokens() + data.validationTokens();
    }

    /** Resident memory of this process before the text was read: the JVM with the device. */
    long startBytes() {
        return startBytes;
    }

    String textName() {
        return textName;
    }

    @Override
    public void close() {
        data.close();
    }
}
