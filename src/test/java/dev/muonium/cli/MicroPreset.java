package dev.muonium.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A model and a text that train in a moment. */
record MicroPreset(Path preset, Path text) {
    static MicroPreset in(Path folder) throws IOException {
        Path preset = Files.writeString(folder.resolve("micro.toml"), """
            layers = 1
            d_model = 64
            heads = 2
            context = 16
            batch = 2
            steps = 4
            eval_batches = 2
            sample_tokens = 12
            sample_prompt = "The "
            """);
        Path text = Files.writeString(
                folder.resolve("text.txt"), "The quick brown fox jumps over the lazy dog.\n".repeat(40));
        return new MicroPreset(preset, text);
    }
}
