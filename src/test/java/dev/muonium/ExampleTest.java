package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The programs in {@code src/example} compile without a warning, and do what they are for. */
final class ExampleTest {
    private static final Path EXAMPLES = Path.of("src/example/java");

    @Test
    void theModelWrittenByHandLearnsItsTeacher(@TempDir Path classes) throws Exception {
        compile(classes, EXAMPLES.resolve("HandWrittenMlp.java"));
        double[] losses = (double[]) run(classes, "HandWrittenMlp", 150);
        assertEquals(150, losses.length);
        double last = Arrays.stream(losses, 140, 150).average().orElseThrow();
        assertTrue(last < 0.1 * losses[0], () -> "the loss falls from " + losses[0] + " to " + last + " only");
    }

    @Test
    void everyExampleIsRunHere() throws Exception {
        try (Stream<Path> files = Files.list(EXAMPLES)) {
            assertEquals(
                    List.of("HandWrittenMlp.java"),
                    files.map(file -> file.getFileName().toString()).toList());
        }
    }

    private static void compile(Path classes, Path source) throws Exception {
        StringWriter diagnostics = new StringWriter();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            List<String> options = List.of(
                    "-Xlint:all,-processing",
                    "-Werror",
                    "-proc:none",
                    "-d",
                    classes.toString(),
                    "-cp",
                    System.getProperty("java.class.path"));
            boolean compiled = compiler.getTask(
                            diagnostics, files, null, options, null, files.getJavaFileObjects(source))
                    .call();
            assertTrue(compiled, diagnostics::toString);
        }
    }

    private Object run(Path classes, String example, int steps) throws Exception {
        URL[] path = {classes.toUri().toURL()};
        try (URLClassLoader loader = new URLClassLoader(path, getClass().getClassLoader())) {
            return loader.loadClass(example).getMethod("train", int.class).invoke(null, steps);
        }
    }
}
