package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Holds the sources against the map of the rooms in CONTRIBUTING.md: a room uses only those above it. */
final class RoomsTest {
    private static final List<Path> SOURCE_ROOTS =
            List.of(Path.of("src/main/java"), Path.of("src/cli/java"), Path.of("bindings/java"));

    private static final Pattern ROW = Pattern.compile("\\| `(\\w+)` \\|.*");

    /** A package of ours by its full name, as in an import or an expression; a class of the root package is no room. */
    private static final Pattern USE = Pattern.compile("\\bdev\\s*\\.\\s*muonium\\s*\\.\\s*([a-z]\\w*)");

    private static final Pattern COMMENT_OR_LITERAL = Pattern.compile(
            "\"\"\"[\\s\\S]*?\"\"\"" // text block
                    + "|\"[^\"\\\\\\n]*+(?:\\\\.[^\"\\\\\\n]*+)*+\"" // string
                    + "|'(?:\\\\.|[^'\\\\])[^']*'" // character
                    + "|//[^\\n]*"
                    + "|/\\*[\\s\\S]*?\\*/");

    @Test
    void everySourceUsesOnlyRoomsAboveItsOwn() throws IOException {
        List<String> rooms = map();
        List<String> violations = new ArrayList<>();
        for (Path source : sources()) {
            String room = roomOf(source);
            for (String used : used(Files.readString(source))) {
                if (!mayUse(rooms, room, used)) {
                    violations.add(source + ": " + room + " must not use " + used);
                }
            }
        }

        assertEquals(List.of(), violations);
    }

    @Test
    void everyRoomIsOnTheMap() throws IOException {
        Set<String> rooms = new TreeSet<>();
        for (Path source : sources()) {
            rooms.add(roomOf(source));
        }
        rooms.remove("");

        assertEquals(new TreeSet<>(map()), rooms, "the map of the rooms in CONTRIBUTING.md, and the rooms there are");
    }

    @Test
    void aRoomMayUseThoseAboveItItselfAndTheRootPackage() {
        List<String> rooms = List.of("memory", "device", "optim");

        assertTrue(mayUse(rooms, "device", "memory"));
        assertTrue(mayUse(rooms, "device", "device"));
        assertFalse(mayUse(rooms, "device", "optim"));
        assertFalse(mayUse(rooms, "device", "unlisted"));
        assertFalse(mayUse(rooms, "", "memory"), "the exceptions use no room");
    }

    @Test
    void seesImportsAndFullNamesButNotWhatIsOnlyMentioned() {
        String source = """
            package dev.muonium.memory;

            import static dev.muonium.device.Device.cpu;
            import dev.muonium.optim.Muon;
            import dev.muonium.MuoniumException;

            /** Not {@link dev.muonium.nano.Gpt}. */
            final class A { // nor dev.muonium.plan
                char quote = '"';
                String name = "dev.muonium.cli \\" dev.muonium.cli";
                Object full = new dev.muonium.quant . Codes('\\'');
            }
            """;

        assertEquals(Set.of("memory", "device", "optim", "quant"), used(source));
    }

    private static boolean mayUse(List<String> rooms, String room, String used) {
        return rooms.contains(used) && rooms.indexOf(used) <= rooms.indexOf(room);
    }

    private static Set<String> used(String source) {
        String code = COMMENT_OR_LITERAL.matcher(source).replaceAll(" ");
        Set<String> used = new TreeSet<>();
        USE.matcher(code).results().map(match -> match.group(1)).forEach(used::add);
        return used;
    }

    /** The rooms in the order of the table, the topmost first. */
    private static List<String> map() throws IOException {
        List<String> rooms = Files.readString(Path.of("CONTRIBUTING.md"))
                .lines()
                .dropWhile(line -> !line.equals("| room | what lives there |"))
                .takeWhile(line -> line.startsWith("|"))
                .flatMap(line -> ROW.matcher(line).results().map((MatchResult row) -> row.group(1)))
                .toList();
        assertFalse(rooms.isEmpty(), "CONTRIBUTING.md has no table of the rooms");
        return rooms;
    }

    private static List<Path> sources() throws IOException {
        List<Path> sources = new ArrayList<>();
        for (Path root : SOURCE_ROOTS) {
            try (var files = Files.walk(root.resolve("dev/muonium"))) {
                files.filter(file -> file.toString().endsWith(".java")).forEach(sources::add);
            }
        }
        return sources;
    }

    /** The first folder below {@code dev/muonium}; empty for the root package. */
    private static String roomOf(Path source) {
        for (Path root : SOURCE_ROOTS) {
            if (source.startsWith(root)) {
                Path inside = root.resolve("dev/muonium").relativize(source);
                return inside.getNameCount() == 1 ? "" : inside.getName(0).toString();
            }
        }
        throw new IllegalArgumentException("not below a source root: " + source);
    }
}
