package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class NativeSettingsTest {
    private static final Map<String, String> JVM = Map.of(
            "user.home", "/home/u", "user.name", "u", "java.io.tmpdir", "/tmp", "os.name", "Linux", "os.arch", "amd64");

    private static NativeSettings settings(Map<String, String> properties, Map<String, String> environment) {
        return new NativeSettings(name -> properties.getOrDefault(name, JVM.get(name)), environment::get);
    }

    @Test
    void namesThePlatform() {
        assertEquals("linux-x86_64", settings(Map.of(), Map.of()).platform());
        assertEquals(
                "mac-os-x-aarch64",
                settings(Map.of("os.name", "Mac OS X", "os.arch", "aarch64"), Map.of())
                        .platform());
    }

    @Test
    void cachesInTheUsersFolderAndThenInTheTemporaryOne() {
        assertEquals(
                List.of(Path.of("/home/u/.cache/muonium"), Path.of("/tmp/muonium-u")),
                settings(Map.of(), Map.of()).caches());
        assertEquals(
                List.of(Path.of("/xdg/muonium"), Path.of("/tmp/muonium-u")),
                settings(Map.of(), Map.of("XDG_CACHE_HOME", "/xdg")).caches());
        assertEquals(
                List.of(Path.of("/home/u/.cache/muonium"), Path.of("/tmp/muonium-u")),
                settings(Map.of(), Map.of("XDG_CACHE_HOME", "relative")).caches());
        assertEquals(
                List.of(Path.of("/tmp/muonium-u")),
                settings(Map.of("user.home", "?"), Map.of()).caches());
    }

    @Test
    void aFolderThatWasAskedForIsTheOnlyOne() {
        assertEquals(
                List.of(Path.of("/asked")),
                settings(Map.of("muonium.cache", "/asked"), Map.of("MUONIUM_CACHE", "/other"))
                        .caches());
        assertEquals(
                List.of(Path.of("/other")),
                settings(Map.of(), Map.of("MUONIUM_CACHE", "/other")).caches());
    }

    @Test
    void thePropertyGoesBeforeTheVariable() {
        assertNull(settings(Map.of(), Map.of()).libraryPath());
        assertEquals(
                Path.of("/p"),
                settings(Map.of("muonium.library.path", "/p"), Map.of("MUONIUM_LIBRARY_PATH", "/v"))
                        .libraryPath());
        assertEquals(
                Path.of("/v"),
                settings(Map.of(), Map.of("MUONIUM_LIBRARY_PATH", "/v")).libraryPath());
    }
}
