package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
        ReadmeExample.of(ReadmeTest.class).run(IMPORTS, classes);
    }

    @Test
    void everyExampleIsShortAndHasATest() throws IOException {
        Set<String> sources;
        try (Stream<Path> files = Files.walk(Path.of("src/test/java"))) {
            sources = files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
        }
        ReadmeExample.all().forEach((test, example) -> {
            assertTrue(sources.contains(test + ".java"), "README names the test " + test);
            assertTrue(example.text().lines().count() <= 22, "an example fits on a screen: " + test);
        });
    }
}
