package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example of DJL compiles as it stands there, and trains. */
@Tag("djl")
final class DjlReadmeTest {
    /** What the example leaves to the app: imports and a data set, here of two batches. */
    private static final String BEFORE = """
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

        public class Example {
            public static void run() throws Exception {
                try (NDManager data = NDManager.newBaseManager()) {
                    Dataset dataset = new ArrayDataset.Builder()
                            .setData(data.randomUniform(0, 1, new Shape(128, 784)))
                            .optLabels(data.arange(128).mod(10))
                            .setSampling(64, false)
                            .build();
        """;

    private static final String AFTER = "} } }";

    @Test
    void exampleCompilesAndRuns(@TempDir Path classes) throws Exception {
        Matcher block = Pattern.compile(
                        "<!-- DjlReadmeTest compiles and runs this. -->\n```java\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("README.md")));
        assertTrue(block.find(), "README has an example of DJL");
        StringWriter diagnostics = new StringWriter();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        boolean compiled = compiler.getTask(
                        diagnostics,
                        null,
                        null,
                        List.of("-d", classes.toString(), "-cp", System.getProperty("java.class.path")),
                        null,
                        List.of(new Source(BEFORE + block.group(1) + AFTER)))
                .call();
        assertTrue(compiled, diagnostics::toString);
        Path saved = Path.of("target/optimizer.safetensors");
        Files.deleteIfExists(saved);
        try (URLClassLoader loader = new URLClassLoader(
                new URL[] {classes.toUri().toURL()}, getClass().getClassLoader())) {
            loader.loadClass("Example").getMethod("run").invoke(null);
        }
        assertTrue(Files.size(saved) > 256 * 784, "the example saved its state");
    }

    /** A source file in memory. */
    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("string:///Example.java"), JavaFileObject.Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }
}
