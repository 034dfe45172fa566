package dev.muonium.cli;

import dev.muonium.cli.input.TrainingText;
import dev.muonium.device.Device;
import dev.muonium.nano.Precision;
import dev.muonium.nano.Preset;
import dev.muonium.nano.TextData;
import dev.muonium.nano.Tokenizer;
import dev.muonium.nano.Trainer;

/** A text in tokens on a device, and the trainers that learn from it. Owns the tokens; the device is the caller's. */
final class TrainingSession implements AutoCloseable {
    private final Device device;
    private final Tokenizer tokenizer;
    private final TrainingText text;
    private final Precision precision;
    private final TextData data;

    /** @throws UserMistake if the device cannot train such a model, or the text is too short for the preset's context */
    TrainingSession(Device device, Preset preset, TrainingText text) {
        this.device = device;
        this.tokenizer = TrainingOptions.tokenizer(preset);
        this.text = text;
        try {
            this.precision = preset.precisionOn(device);
            this.data = new TextData(
                    device,
                    tokenizer,
                    "'" + text.name() + "'",
                    text.utf8(),
                    preset.model().context());
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
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
        return text.utf8().length / (double) (data.trainingTokens() + data.validationTokens());
    }

    double orderTwoCrossEntropy() {
        return data.orderTwoCrossEntropy();
    }

    @Override
    public void close() {
        data.close();
    }
}
