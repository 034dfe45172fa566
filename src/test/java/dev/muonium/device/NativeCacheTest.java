package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NativeCacheTest {
    private static final Set<String> FILES = Set.of("libgomp.so.1", "libdnnl.so.3", "libmuonium.so");

    @TempDir
    Path temporary;

    private static NativeBundle bundle() throws IOException {
        return NativeBundle.forPlatform("linux-x86_64");
    }

    @Test
    void extractsIntoOnePrivateFolderAndLeavesNoLitter() throws IOException {
        Path root = temporary.resolve("a/b/cache");

        Path folder = new NativeCache(root).provide(bundle());

        assertEquals(root.resolve(bundle().id()), folder);
        assertEquals(FILES, names(folder));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(root)));
        for (NativeBundle.Entry entry : bundle().entries()) {
            assertEquals(bundle().size(entry), Files.size(folder.resolve(entry.file())));
        }
    }

    @Test
    void leavesWhatIsThereAndMendsWhatIsDamaged() throws IOException {
        Path folder = new NativeCache(temporary).provide(bundle());
        Object first = Files.getAttribute(folder.resolve("libgomp.so.1"), "unix:ino");
        Files.write(folder.resolve("libmuonium.so"), new byte[] {1, 2, 3});

        new NativeCache(temporary).provide(bundle());

        assertEquals(first, Files.getAttribute(folder.resolve("libgomp.so.1"), "unix:ino"));
        assertNotEquals(3, Files.size(folder.resolve("libmuonium.so")));
        assertEquals(FILES, names(folder));
    }

    @Test
    void manyAtOnceGetCompleteLibraries() throws Exception {
        List<Future<Path>> folders = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            for (int i = 0; i < 3; i++) {
                folders.add(threads.submit(() -> new NativeCache(temporary).provide(bundle())));
            }
        }
        for (Future<Path> folder : folders) {
            assertEquals(FILES, names(folder.get()));
        }
    }

    @Test
    void refusesFoldersThatOthersCanWriteTo() throws IOException {
        Path root = Files.createDirectory(temporary.resolve("open"));
        Files.setPosixFilePermissions(root, PosixFilePermissions.fromString("rwxrwxrwx"));

        IOException refusal = assertThrows(IOException.class, () -> new NativeCache(root).provide(bundle()));

        assertEquals(
                root + " can be written by other users (rwxrwxrwx); take that right away (chmod go-w)",
                refusal.getMessage());
        assertEquals(Set.of(), names(root));
    }

    @Test
    void removesWhatNobodyHasUsedForLong() throws IOException {
        Path stale = Files.createDirectory(temporary.resolve("0123456789abcdef0123456789abcdef"));
        Files.writeString(stale.resolve("libdnnl.so.3"), "old");
        Path recent = Files.createDirectory(temporary.resolve("fedcba9876543210fedcba9876543210"));
        Files.writeString(recent.resolve("libdnnl.so.3"), "recent");
        Path abandoned = Files.writeString(recent.resolve("libdnnl.so.3-1.tmp"), "abandoned");
        Path foreign = Files.createDirectory(temporary.resolve("not-ours"));
        age(abandoned, Duration.ofHours(2));
        age(stale, Duration.ofDays(31));
        age(foreign, Duration.ofDays(400));

        new NativeCache(temporary).provide(bundle());

        assertFalse(Files.exists(stale));
        assertEquals(Set.of("libdnnl.so.3"), names(recent));
        assertTrue(Files.exists(foreign));
    }

    @Test
    void cleansUpAsFarAsItCan() throws IOException {
        Path stale = Files.createDirectory(temporary.resolve("0123456789abcdef0123456789abcdef"));
        Path stray = Files.createDirectory(stale.resolve("stray"));
        Files.writeString(stray.resolve("file"), "not ours");
        Path library = Files.writeString(stale.resolve("libdnnl.so.3"), "old");
        age(stale, Duration.ofDays(31));

        new NativeCache(temporary).provide(bundle());

        assertTrue(Files.exists(stray.resolve("file")));
        assertFalse(Files.exists(library));
    }

    @Test
    void removesWhatWasAbandonedInItsOwnFolder() throws IOException {
        Path folder = new NativeCache(temporary).provide(bundle());
        Path abandoned = Files.writeString(folder.resolve("libdnnl.so.3-1.tmp"), "abandoned");
        Files.writeString(folder.resolve("libdnnl.so.3-2.tmp"), "being written");
        age(abandoned, Duration.ofHours(2));

        new NativeCache(temporary).provide(bundle());

        Set<String> expected = new TreeSet<>(FILES);
        expected.add("libdnnl.so.3-2.tmp");
        assertEquals(expected, names(folder));
    }

    @Test
    void aCompleteFolderMayBeReadOnly() throws IOException {
        Path folder = new NativeCache(temporary).provide(bundle());
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("r-x------"));
        Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString("r-x------"));
        try {
            assertEquals(folder, new NativeCache(temporary).provide(bundle()));
        } finally {
            Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString("rwx------"));
            Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
        }
    }

    /** Its maker could point it elsewhere between the check and the loading. */
    @Test
    void refusesSymbolicLinks() throws IOException {
        Path target = Files.createDirectory(temporary.resolve("target"));
        Path root = Files.createSymbolicLink(temporary.resolve("link"), target);

        IOException refusal = assertThrows(IOException.class, () -> new NativeCache(root).provide(bundle()));

        assertEquals(root + " is a symbolic link; name the folder itself", refusal.getMessage());
        assertEquals(Set.of(), names(target));
    }

    @Test
    void mendsByContentsOnly() throws IOException {
        Path library = new NativeCache(temporary).provide(bundle()).resolve("libgomp.so.1");
        assertFalse(NativeCache.mend(bundle(), library));
        byte[] contents = Files.readAllBytes(library);
        byte[] damaged = contents.clone();
        damaged[contents.length / 2] ^= 1;
        Files.write(library, damaged);

        assertTrue(NativeCache.mend(bundle(), library));

        assertArrayEquals(contents, Files.readAllBytes(library));
    }

    private static void age(Path path, Duration age) throws IOException {
        Files.setLastModifiedTime(path, FileTime.from(Instant.now().minus(age)));
    }

    private static Set<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toCollection(TreeSet::new));
        }
    }
}
