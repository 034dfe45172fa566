package dev.muonium.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.MuoniumException;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Without DJL, or its engine, the reason is a sentence; and nothing else of the library needs them. */
@Tag("djl")
final class DjlAvailabilityTest {
    @Test
    void findsWhatIsOnTheTestsClassPath() {
        assertEquals("", DjlAvailability.find().reason());
        DjlAvailability.find().require();
    }

    @Test
    void saysWhatIsMissing() throws Exception {
        try (URLClassLoader without = without(jar -> jar.contains("/ai/djl/"))) {
            String reason = reasonIn(without);
            assertTrue(reason.contains("DJL is not on the class path"), reason);
            assertTrue(reason.contains("ai.djl:api"), reason);
        }
        try (URLClassLoader without = without(jar -> jar.contains("pytorch-engine"))) {
            String reason = reasonIn(without);
            assertTrue(reason.contains("DJL's PyTorch engine"), reason);
            assertTrue(reason.contains("ai.djl.pytorch:pytorch-engine"), reason);
        }
        assertEquals(
                "gone",
                assertThrows(MuoniumException.class, () -> new DjlAvailability("gone").require())
                        .getMessage());
    }

    @Test
    void theRestOfTheLibraryNeedsNone() throws Exception {
        try (URLClassLoader without = without(jar -> jar.contains("/ai/djl/"))) {
            Class<?> optimizer = Class.forName("dev.muonium.optim.Optimizer", true, without);
            assertEquals(without, optimizer.getClassLoader());
            assertTrue(optimizer.getMethods().length > 0);
        }
    }

    /** The class path of this test, folders included, less the jars that are left out. */
    private static URLClassLoader without(Predicate<String> leftOut) throws IOException {
        List<URL> urls = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!entry.endsWith(".jar") || !leftOut.test(entry)) {
                urls.add(new File(entry).toURI().toURL());
            }
        }
        return new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
    }

    private static String reasonIn(ClassLoader loader) throws Exception {
        Class<?> type = Class.forName("dev.muonium.djl.DjlAvailability", true, loader);
        return (String) type.getMethod("reason").invoke(type.getMethod("find").invoke(null));
    }
}
