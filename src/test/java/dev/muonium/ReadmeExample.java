package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/** A block of Java in the README. */
public final class ReadmeExample {
    private static final Path README = Path.of("README.md");
    private static final Pattern BLOCK =
            Pattern.compile("(?:<!-- (\\w+) compiles and runs this. -->\n)?```java\n([\\s\\S]*?)```");

    private final String text;

    private ReadmeExample(String text) {
        this.text = text;
    }

    /** All of them under the names of the tests that the README says run them. */
    public static Map<String, ReadmeExample> all() throws IOException {
        Map<String, ReadmeExample> all = new LinkedHashMap<>();
        Matcher blocks = BLOCK.matcher(Files.readString(README));
        while (blocks.find()) {
            assertNotNull(blocks.group(1), "no test is named above the block of Java " + blocks.group(2));
            assertNull(all.put(blocks.group(1), new ReadmeExample(blocks.group(2))), blocks.group(1));
        }
        return all;
    }

    /** The one that a test runs. */
    public static ReadmeExample of(Class<?> test) throws IOException {
        ReadmeExample example = all().get(test.getSimpleName());
        assertNotNull(example, "README has no block of Java for " + test.getSimpleName());
        return example;
    }

    /** The text as it stands there. */
    public String text() {
        return text;
    }

    /** Compiles it into a folder, against the class path of the tests, and runs it. */
    public void run(String imports, Path classes) throws Exception {
        run(imports, "", "", classes);
    }

    /** The same with statements around it that the example leaves to the app. */
    public void run(String imports, String before, String after, Path classes) throws Exception {
        StringWriter diagnostics = new StringWriter();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        String source = imports + "public class Example { public static void run() throws Exception {\n" + before + text
                + after + "\n} }";
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
