package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example compiles as it stands there, and runs. */
final class ReadmeTest {
    private static final Path README = Path.of("README.md");

    private static final String IMPORTS = """
        import dev.muonium.device.Device;
        import dev.muonium.optim.*;
        import java.lang.foreign.*;
        """;

    @Test
    void exampleCompilesAndRuns(@TempDir Path classes) throws Exception {
        String example = example();
        StringWriter diagnostics = new StringWriter();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        String source = IMPORTS + "public class Example { public static void run() {\n" + example + "\n} }";
        boolean compiled = compiler.getTask(
                        diagnostics,
                        null,
                        null,
                        List.of("-d", classes.toString(), "-cp", System.getProperty("java.class.path")),
                        null,
                        List.of(new Source(source)))
                .call();
        assertTrue(compiled, diagnostics::toString);
        try (URLClassLoader loader = new URLClassLoader(
                new URL[] {classes.toUri().toURL()}, getClass().getClassLoader())) {
            loader.loadClass("Example").getMethod("run").invoke(null);
        }
    }

    @Test
    void exampleIsShort() throws Exception {
        assertTrue(example().lines().count() <= 20, "an example of embedding fits on a screen");
    }

    private static String example() throws Exception {
        String readme = Files.readString(README);
        Matcher blocks = Pattern.compile("<!-- (\\w+) compiles and runs this. -->\n```java\n(.*?)```", Pattern.DOTALL)
                .matcher(readme);
        Map<String, String> tested = new HashMap<>();
        blocks.results().forEach(block -> tested.put(block.group(1), block.group(2)));
        assertEquals(
                readme.split("```java\n", -1).length - 1,
                tested.size(),
                "every block of Java in README names the test that runs it");
        return tested.get("ReadmeTest");
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
