import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.FormatterException;
import com.palantir.javaformat.java.JavaFormatterOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Checks or rewrites the format of every Java source under the given folders: {@code Format --check|--write FOLDER...}.
 * A program of its own because the formatter parses with the compiler of the JDK it runs in, and Maven's may be too old.
 */
final class Format {
    private static final Formatter FORMATTER = Formatter.createFormatter(JavaFormatterOptions.builder()
            .style(JavaFormatterOptions.Style.PALANTIR)
            .build());

    private Format() {}

    public static void main(String[] args) throws IOException, FormatterException {
        boolean write = args[0].equals("--write");
        List<Path> wrong = new ArrayList<>();
        for (String folder : List.of(args).subList(1, args.length)) {
            for (Path source : sources(Path.of(folder))) {
                String text = Files.readString(source);
                String formatted = format(source, text);
                if (!formatted.equals(text)) {
                    wrong.add(source);
                    if (write) {
                        Files.writeString(source, formatted);
                    }
                }
            }
        }
        if (write) {
            wrong.forEach(source -> System.out.println("formatted " + source));
        } else if (!wrong.isEmpty()) {
            wrong.forEach(source -> System.err.println("[ERROR] not formatted: " + source));
            System.err.println("[ERROR] Format the sources with: mvn -q process-sources -Pformat");
            System.exit(1);
        }
    }

    private static String format(Path source, String text) throws FormatterException {
        try {
            return FORMATTER.formatSourceAndFixImports(text);
        } catch (FormatterException e) {
            System.err.println("[ERROR] " + source + ": " + e.getMessage());
            throw e;
        }
    }

    private static List<Path> sources(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (var files = Files.walk(folder)) {
            return files.filter(file -> file.toString().endsWith(".java")
                            && !file.toString().contains("/target/"))
                    .sorted()
                    .toList();
        }
    }
}
