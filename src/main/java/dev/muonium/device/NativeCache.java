package dev.muonium.device;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestOutputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The per-user folder where the dynamic linker finds the libraries of a {@link NativeBundle}: one subfolder per contents,
 * so that two versions of Muonium never share one.
 *
 * <p>A library is written to a temporary sibling, checked against its SHA-256, brought to the disk and renamed, so that
 * another process sees all of it or nothing, and a crash of the system leaves all of it or nothing. A library that is there
 * already is taken if its size is right: the folder is writable by its owner alone, and reading 90 MB again at every start
 * would cost more than loading them. Should it then not load, {@link #mend} looks closer.
 *
 * <p>Folders that no process has used for {@value #STALE_DAYS} days are removed when a new one is made. Removing is best
 * effort: others may do the same at the same time, and it keeps nobody from loading. Nor does a folder that can only be read,
 * as long as it is complete.
 */
final class NativeCache {
    private static final int STALE_DAYS = 30;
    private static final Duration ABANDONED = Duration.ofHours(1);
    private static final String TEMPORARY = ".tmp";
    private static final LinkOption NOFOLLOW = LinkOption.NOFOLLOW_LINKS;

    private final Path root;

    NativeCache(Path root) {
        this.root = root.toAbsolutePath();
    }

    /** Puts the libraries of a bundle where they can be loaded from, unless they are there, and returns their folder. */
    Path provide(NativeBundle bundle) throws IOException {
        makePrivate(root);
        Path folder = root.resolve(bundle.id());
        boolean isNew = !Files.exists(folder);
        makePrivate(folder);
        markUsed(folder);
        for (NativeBundle.Entry entry : bundle.entries()) {
            Path library = folder.resolve(entry.file());
            if (!isIntact(bundle, entry, library)) {
                extract(bundle, entry, library);
            }
        }
        removeAbandoned(folder);
        if (isNew) {
            removeStale(folder);
        }
        return folder;
    }

    /**
     * Extracts a library again if it is not what the bundle has: for one of the right size that cannot be loaded.
     *
     * @param library a file of a folder that {@link #provide} returned
     * @return whether it was replaced
     */
    static boolean mend(NativeBundle bundle, Path library) throws IOException {
        for (NativeBundle.Entry entry : bundle.entries()) {
            if (library.endsWith(entry.file()) && !sha256(library).equals(entry.sha256())) {
                extract(bundle, entry, library);
                return true;
            }
        }
        return false;
    }

    private static void makePrivate(Path folder) throws IOException {
        if (!Files.exists(folder, NOFOLLOW)) {
            Path parent = folder.getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
            try {
                Files.createDirectory(
                        folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            } catch (FileAlreadyExistsException e) {
                // Another process was faster; what it made is looked at like any other.
            }
        }
        requirePrivate(folder);
    }

    /**
     * Whoever can write to the folder can run code in this process. So can whoever made a symbolic link in its place, by
     * pointing it elsewhere after this: links are not followed.
     */
    private static void requirePrivate(Path folder) throws IOException {
        if (Files.isSymbolicLink(folder)) {
            throw new IOException(folder + " is a symbolic link; name the folder itself");
        }
        if (!Files.isDirectory(folder, NOFOLLOW)) {
            throw new IOException(folder + " is not a folder");
        }
        Object owner = Files.getAttribute(folder, "unix:uid", NOFOLLOW);
        Object self = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        if (!owner.equals(self)) {
            throw new IOException(folder + " belongs to the user with the id " + owner
                    + ", not to the one that runs this" + " process (" + self + ")");
        }
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(folder, NOFOLLOW);
        if (permissions.contains(PosixFilePermission.GROUP_WRITE)
                || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
            throw new IOException(folder + " can be written by other users ("
                    + PosixFilePermissions.toString(permissions) + "); take that right away (chmod go-w)");
        }
    }

    private static boolean isIntact(NativeBundle bundle, NativeBundle.Entry entry, Path library) throws IOException {
        if (!Files.isRegularFile(library, NOFOLLOW)) {
            return false;
        }
        long size = bundle.size(entry);
        return size >= 0 ? Files.size(library) == size : sha256(library).equals(entry.sha256());
    }

    private static String sha256(Path library) throws IOException {
        try (OutputStream sink = OutputStream.nullOutputStream();
                DigestOutputStream digest = new DigestOutputStream(sink, NativeBundle.sha256())) {
            Files.copy(library, digest);
            return NativeBundle.hex(digest.getMessageDigest().digest());
        }
    }

    private static void extract(NativeBundle bundle, NativeBundle.Entry entry, Path library) throws IOException {
        Path folder = library.resolveSibling("");
        Path temporary = Files.createTempFile(folder, entry.file() + "-", TEMPORARY);
        try {
            String sha256;
            try (InputStream in = bundle.open(entry);
                    FileChannel file = FileChannel.open(temporary, StandardOpenOption.WRITE);
                    DigestOutputStream out =
                            new DigestOutputStream(Channels.newOutputStream(file), NativeBundle.sha256())) {
                in.transferTo(out);
                file.force(true); // else the name can reach the disk before the contents
                sha256 = NativeBundle.hex(out.getMessageDigest().digest());
            }
            if (!sha256.equals(entry.sha256())) {
                throw new IOException(entry.file() + " has the SHA-256 " + sha256 + " instead of " + entry.sha256()
                        + ": the jar, or the class folder, is damaged");
            }
            Files.move(temporary, library, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static void markUsed(Path folder) {
        bestEffort(() -> Files.setLastModifiedTime(folder, FileTime.from(Instant.now())));
    }

    private void removeStale(Path used) {
        for (Path folder : list(root)) {
            if (folder.equals(used)
                    || !Files.isDirectory(folder, NOFOLLOW)
                    || !isId(folder.getFileName().toString())) {
                continue;
            }
            if (isOlder(folder, Duration.ofDays(STALE_DAYS))) {
                list(folder).forEach(NativeCache::remove);
                remove(folder);
            } else {
                removeAbandoned(folder);
            }
        }
    }

    /** What a process that was ended in the middle of extracting left. */
    private static void removeAbandoned(Path folder) {
        for (Path file : list(folder)) {
            if (file.toString().endsWith(TEMPORARY) && isOlder(file, ABANDONED)) {
                remove(file);
            }
        }
    }

    private static void remove(Path path) {
        bestEffort(() -> Files.deleteIfExists(path));
    }

    private static boolean isId(String name) {
        return name.matches("[0-9a-f]{32}");
    }

    private static boolean isOlder(Path path, Duration age) {
        try {
            return Files.getLastModifiedTime(path, NOFOLLOW)
                    .toInstant()
                    .isBefore(Instant.now().minus(age));
        } catch (IOException e) {
            return false; // somebody else removed it
        }
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> children = Files.list(folder)) {
            return children.toList();
        } catch (IOException | UncheckedIOException e) {
            return List.of();
        }
    }

    /** Housekeeping that may fail: the folder can be read-only, or another process may do the same. */
    private interface Housekeeping {
        void run() throws IOException;
    }

    private static void bestEffort(Housekeeping work) {
        try {
            work.run();
        } catch (IOException e) {
            // What is left is tried again by the next process.
        }
    }
}
