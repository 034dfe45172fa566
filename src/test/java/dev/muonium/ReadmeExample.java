package dev.muonium;

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
    private static final Pattern HEADING_OR_BLOCK = Pattern.compile("(?m)^## (.*)$|```java\n([\\s\\S]*?)```");

    private final String text;

    private ReadmeExample(String text) {
        this.text = text;
    }

    /** All of them under the headings that they stand under, at most one each. */
    public static Map<String, ReadmeExample> all() throws IOException {
        Map<String, ReadmeExample> all = new LinkedHashMap<>();
        String heading = "";
        Matcher found = HEADING_OR_BLOCK.matcher(Files.readString(README));
        while (found.find()) {
            if (found.group(1) != null) {
                heading = found.group(1);
            } else {
                assertTrue(all.put(heading, new ReadmeExample(found.group(2))) == null, "two blocks under " + heading);
            }
        }
        return all;
    }

    /** The one under a heading. */
    public static ReadmeExample under(String heading) throws IOException {
        ReadmeExample example = all().get(heading);
        assertTrue(example != null, "README has no block of Java under '" + heading + "'");
        return example;
    }

    /** The text as it stands there. */
    public String text() {
        return text;
    }

    /** Compiles it into a folder, against the class path of the tests, and runs it. */
    public void run(String imports, Path classes) throws Exception {
        StringWriter diagnostics = new StringWriter();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        String source = imports + "public class Example { public static void run() {\n" + text + "\n} }";
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
