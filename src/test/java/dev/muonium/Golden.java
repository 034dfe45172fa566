package dev.muonium;

import dev.muonium.checkpoint.Safetensors;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;

/** A recorded trajectory from the test resources. */
public record Golden(String name, Safetensors file) implements AutoCloseable {
    public static Golden open(String name) {
        try {
            return new Golden(
                    name,
                    Safetensors.open(Path.of(
                            Objects.requireNonNull(Golden.class.getResource("/golden/" + name + ".safetensors"), name)
                                    .toURI())));
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException(name, e);
        }
    }

    public Map<String, String> metadata() {
        return file.metadata();
    }

    public double number(String key) {
        return Double.parseDouble(Objects.requireNonNull(metadata().get(key), key));
    }

    public float[] floats(String tensor) {
        return file.tensor(tensor).toFloats();
    }

    public double[] doubles(String tensor) {
        return file.tensor(tensor).toDoubles();
    }

    @Override
    public void close() {
        file.close();
    }
}
