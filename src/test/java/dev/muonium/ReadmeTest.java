package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's examples compile as they stand there, and run. Those of other frameworks do so beside the tests of these. */
final class ReadmeTest {
    private static final String IMPORTS = """
        import dev.muonium.device.Device;
        import dev.muonium.optim.*;
        import java.lang.foreign.*;
        """;

    @Test
    void exampleCompilesAndRuns(@TempDir Path classes) throws Exception {
        ReadmeExample.under("Embed it").run(IMPORTS, classes);
    }

    @Test
    void everyExampleIsTestedAndShort() throws Exception {
        assertEquals(
                Set.of("Embed it", "In a JavaCPP PyTorch app"),
                ReadmeExample.all().keySet());
        ReadmeExample.all()
                .forEach((heading, example) ->
                        assertTrue(example.text().lines().count() <= 22, "an example fits on a screen: " + heading));
    }
}
