package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.ReadmeExample;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example of DJL compiles as it stands there, and trains. */
@Tag("djl")
final class DjlReadmeTest {
    private static final String IMPORTS = """
        import ai.djl.Model;
        import ai.djl.ndarray.*;
        import ai.djl.ndarray.types.Shape;
        import ai.djl.nn.*;
        import ai.djl.nn.core.Linear;
        import ai.djl.training.*;
        import ai.djl.training.dataset.*;
        import ai.djl.training.loss.Loss;
        import dev.muonium.djl.MuoniumOptimizer;
        import dev.muonium.optim.*;
        import java.nio.file.Path;
        """;

    /** A data set, here of two batches. */
    private static final String BEFORE = """
        try (NDManager data = NDManager.newBaseManager()) {
            Dataset dataset = new ArrayDataset.Builder()
                    .setData(data.randomUniform(0, 1, new Shape(128, 784)))
                    .optLabels(data.arange(128).mod(10))
                    .setSampling(64, false)
                    .build();
        """;

    @Test
    void exampleCompilesAndRuns(@TempDir Path classes) throws Exception {
        Path saved = Path.of("target/optimizer.safetensors");
        Files.deleteIfExists(saved);
        ReadmeExample.of(DjlReadmeTest.class).run(IMPORTS, BEFORE, "}", classes);
        assertTrue(Files.size(saved) > 256 * 784, "the example saved its state");
    }
}
