package dev.muonium.checkpoint;

import dev.muonium.checkpoint.Manifest.FileEntry;
import dev.muonium.events.CheckpointEvent;
import dev.muonium.events.Events;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A folder of checkpoints, {@code step-00000250} and so on, of which the last few are kept.
 *
 * <p><b>A save</b> writes all files into a hidden sibling folder and forces them to the disk, the manifest with their checksums last, renames the
 * folder, forces the renaming, and only then removes what is older than the last {@code keep}. So whenever the process ends, also killed
 * or without power, every checkpoint that was complete before still is, and at most the one that is being saved is lost. What a
 * killed save left behind, the next one removes.
 *
 * <p><b>Reading</b> needs no open folder: {@link #newest} opens the newest checkpoint that is valid and says which newer ones it skipped and why.
 *
 * <p>One process, and one object, at a time saves into a folder: it holds a lock until it is closed. Thread-safe.
 */
public final class CheckpointFolder implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(CheckpointFolder.class);
    private static final Pattern STEP = Pattern.compile("step-(\\d{8,18})");
    private static final String LOCK = ".lock";
    private static final String UNFINISHED = ".unfinished-";
    private static final String REPLACED = ".replaced-";
    private static final String REMOVED = ".removed-";

    /** Folders that this process has open: closing any channel of a lock file would give the whole process's lock back. */
    private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

    /** Channels of lock files that must not be closed, not even by a garbage collection. */
    private static final Set<FileChannel> LEFT_OPEN = ConcurrentHashMap.newKeySet();

    private final Path folder;
    private final Path real;
    private final int keep;
    private final FileChannel lockFile;
    private final FileLock lock;

    private CheckpointFolder(Path folder, Path real, int keep, FileChannel lockFile, FileLock lock) {
        this.folder = folder;
        this.real = real;
        this.keep = keep;
        this.lockFile = lockFile;
        this.lock = lock;
    }

    /**
     * A checkpoint that was not loaded.
     *
     * @param folder of the checkpoint
     * @param reason one sentence
     */
    public record Skipped(Path folder, String reason) {}

    /**
     * What {@link #newest} found.
     *
     * @param checkpoint the newest valid one; the caller closes it
     * @param skipped newer ones that are not valid, the newest first
     */
    public record Found(Optional<Checkpoint> checkpoint, List<Skipped> skipped) {
        /** Copies the list. */
        public Found {
            skipped = List.copyOf(skipped);
        }
    }

    /**
     * Opens a folder to save into, makes it where there is none, and removes what killed saves left.
     *
     * @param keep how many checkpoints are kept; at least 1
     * @throws CheckpointException if it cannot be made or written, or another process or object saves into it
     */
    public static CheckpointFolder open(Path folder, int keep) {
        if (keep < 1) {
            throw new IllegalArgumentException(
                    "the number of checkpoints to keep is " + keep + "; it must be at least 1");
        }
        Path real;
        try {
            Files.createDirectories(folder);
            real = folder.toRealPath();
        } catch (IOException e) {
            throw unusable(folder, e);
        }
        if (!OPEN.add(real)) {
            throw inUse(folder);
        }
        FileChannel file = null;
        try {
            file = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            FileLock lock = file.tryLock();
            if (lock == null) {
                throw inUse(folder);
            }
            CheckpointFolder opened = new CheckpointFolder(folder, real, keep, file, lock);
            opened.clean();
            return opened;
        } catch (OverlappingFileLockException e) {
            // This library in another class loader of the process has the lock, and would lose it if this channel were
            // closed.
            if (file != null) {
                LEFT_OPEN.add(file);
            }
            OPEN.remove(real);
            throw inUse(folder);
        } catch (CheckpointException e) {
            closeQuietly(file);
            OPEN.remove(real);
            throw e;
        } catch (IOException e) {
            closeQuietly(file);
            OPEN.remove(real);
            throw unusable(folder, e);
        }
    }

    private static CheckpointException unusable(Path folder, IOException e) {
        String reason =
                Files.exists(folder) && !Files.isDirectory(folder) ? "it is not a folder" : Safetensors.reason(e);
        return new CheckpointException("checkpoints cannot be saved to '" + folder + "': " + reason, e);
    }

    private static CheckpointException inUse(Path folder) {
        return new CheckpointException("checkpoints are being saved to '" + folder
                + "' by another process or trainer; give each a folder of its own");
    }

    private static void closeQuietly(@Nullable FileChannel file) {
        if (file != null) {
            try {
                file.close();
            } catch (IOException e) {
                LOG.debug("a lock file could not be closed", e);
            }
        }
    }

    /** The folder itself. */
    public Path path() {
        return folder;
    }

    /** The folder of a step's checkpoint within the folder of all. */
    static String nameOf(long step) {
        return String.format(Locale.ROOT, "step-%08d", step);
    }

    /**
     * Saves a checkpoint, forces it to the disk, and removes those that are older than the last few. Where there is one of that step, it is
     * replaced.
     *
     * @param step optimizer steps taken
     * @param values configuration and whatever else resuming needs
     * @param parts what goes into which file; its data must not change meanwhile
     * @return the checkpoint's folder
     * @throws CheckpointException if it cannot be written; all earlier checkpoints are as they were
     */
    public Path save(long step, Map<String, String> values, List<CheckpointPart> parts) {
        return save(step, values, parts, false);
    }

    /** The same. */
    Path save(long step, Map<String, String> values, List<CheckpointPart> parts, boolean inBackground) {
        CheckpointEvent event = Events.checkpoint();
        if (event == null) {
            return write(step, values, parts);
        }
        event.operation = "save";
        event.step = step;
        event.bytes = parts.stream()
                .flatMap(part -> part.tensors().stream())
                .mapToLong(tensor -> tensor.data().byteSize())
                .sum();
        event.background = inBackground;
        try {
            return write(step, values, parts);
        } catch (RuntimeException e) {
            event.failure = e.getMessage();
            throw e;
        } finally {
            event.commit();
        }
    }

    private synchronized Path write(long step, Map<String, String> values, List<CheckpointPart> parts) {
        if (!lock.isValid()) {
            throw new IllegalStateException("the checkpoint folder '" + folder + "' was used after it was closed");
        }
        if (step < 0) {
            throw new IllegalArgumentException("the step of a checkpoint is " + step + "; it must not be negative");
        }
        Path target = folder.resolve(nameOf(step));
        Path unfinished = folder.resolve(UNFINISHED + nameOf(step));
        try {
            delete(unfinished);
            Files.createDirectory(unfinished);
            Map<String, FileEntry> files = new LinkedHashMap<>();
            for (CheckpointPart part : parts) {
                Path file = unfinished.resolve(part.name() + ".safetensors");
                MessageDigest digest = Manifest.sha256();
                SafetensorsWriter.write(file, part.metadata(), part.tensors(), digest);
                files.put(
                        file.getFileName().toString(),
                        new FileEntry(Files.size(file), HexFormat.of().formatHex(digest.digest())));
            }
            writeForced(unfinished.resolve(Manifest.NAME), new Manifest(step, values, files).toJson());
            SafetensorsWriter.force(unfinished);
            replace(target, unfinished);
            SafetensorsWriter.force(folder);
        } catch (SafetensorsException e) {
            deleteQuietly(unfinished);
            throw failed(step, e.getMessage(), e);
        } catch (IOException e) {
            deleteQuietly(unfinished);
            throw failed(step, Safetensors.reason(e), e);
        }
        prune(target);
        return target;
    }

    private CheckpointException failed(long step, @Nullable String reason, Exception cause) {
        return new CheckpointException(
                "the checkpoint of step " + step + " was not saved to '" + folder + "': " + reason
                        + "; earlier ones are as they were",
                cause);
    }

    private void replace(Path target, Path finished) throws IOException {
        Path replaced = folder.resolve(REPLACED + target.getFileName());
        boolean there = Files.exists(target);
        if (there) {
            delete(replaced);
            Files.move(target, replaced, StandardCopyOption.ATOMIC_MOVE);
        }
        try {
            Files.move(finished, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            if (there) {
                Files.move(replaced, target, StandardCopyOption.ATOMIC_MOVE);
            }
            throw e;
        }
        if (there) {
            deleteQuietly(replaced);
        }
    }

    private static void writeForced(Path file, String text) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
    }

    /**
     * Keeps the checkpoint that was just saved, and the newest before it. One of a later step was skipped as damaged, or is of another run: it is
     * the first to go.
     */
    private void prune(Path saved) {
        List<Path> all = new ArrayList<>(steps(folder));
        all.sort(Comparator.comparing((Path step) -> stepOf(step) > stepOf(saved)));
        int kept = 1;
        for (Path each : all) {
            if (each.getFileName().equals(saved.getFileName())) {
                continue;
            }
            if (kept < keep) {
                kept++;
                continue;
            }
            try {
                // Renamed first, so that nobody takes one that is half removed for one that was damaged.
                Path removed = folder.resolve(REMOVED + each.getFileName());
                delete(removed);
                Files.move(each, removed, StandardCopyOption.ATOMIC_MOVE);
                delete(removed);
            } catch (IOException e) {
                LOG.warn("the old checkpoint '{}' could not be removed: {}", each, Safetensors.reason(e));
            }
        }
    }

    /** Puts back what a killed save had only moved away, and removes the rest of what it left. */
    private void clean() throws IOException {
        List<Path> left = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, ".{unfinished,replaced,removed}-*")) {
            entries.forEach(left::add);
        }
        for (Path each : left) {
            String name = String.valueOf(each.getFileName());
            Path original = folder.resolve(name.substring(name.indexOf('-') + 1));
            if (name.startsWith(REPLACED) && !Files.exists(original)) {
                Files.move(each, original, StandardCopyOption.ATOMIC_MOVE);
            } else {
                delete(each);
            }
        }
    }

    /** The folders of all checkpoints, the newest first, valid or not. */
    private static List<Path> steps(Path folder) {
        List<Path> steps = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                if (STEP.matcher(String.valueOf(entry.getFileName())).matches()) {
                    steps.add(entry);
                }
            }
        } catch (IOException e) {
            String reason = e instanceof NotDirectoryException ? "it is not a folder" : Safetensors.reason(e);
            throw new CheckpointException("checkpoints cannot be read from '" + folder + "': " + reason, e);
        } catch (DirectoryIteratorException e) {
            throw new CheckpointException("checkpoints cannot be read from '" + folder + "': " + e.getMessage(), e);
        }
        steps.sort(Comparator.comparingLong(CheckpointFolder::stepOf).reversed());
        return steps;
    }

    private static long stepOf(Path step) {
        return Long.parseLong(String.valueOf(step.getFileName()).substring("step-".length()));
    }

    /**
     * Opens the newest valid checkpoint of a folder. A save that was killed while it replaced a checkpoint of the same step is undone
     * when the folder is opened to save; until then the one before is found.
     *
     * @throws CheckpointException if the folder cannot be read
     */
    public static Found newest(Path folder) {
        List<Skipped> skipped = new ArrayList<>();
        for (Path step : steps(folder)) {
            try {
                Checkpoint checkpoint = Checkpoint.open(step);
                if (checkpoint.step() != stepOf(step)) {
                    checkpoint.close();
                    throw new CheckpointException("the checkpoint '" + step + "' is one of step " + checkpoint.step()
                            + "; its folder was renamed");
                }
                skipped.forEach(each -> LOG.warn("skipped a checkpoint: {}", each.reason()));
                return new Found(Optional.of(checkpoint), skipped);
            } catch (CheckpointException e) {
                skipped.add(new Skipped(step, String.valueOf(e.getMessage())));
            }
        }
        skipped.forEach(each -> LOG.warn("skipped a checkpoint: {}", each.reason()));
        return new Found(Optional.empty(), skipped);
    }

    /** The folders of all checkpoints of a folder, the newest first, valid or not. */
    public static List<Path> list(Path folder) {
        return List.copyOf(steps(folder));
    }

    private static void deleteQuietly(Path path) {
        try {
            delete(path);
        } catch (IOException e) {
            LOG.warn("'{}' could not be removed: {}", path, Safetensors.reason(e));
        }
    }

    private static void delete(Path path) throws IOException {
        if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        Files.walkFileTree(path, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException e) throws IOException {
                if (e != null) {
                    throw e;
                }
                Files.delete(visited);
                return FileVisitResult.CONTINUE;
            }
        });
    }

    /** Gives the lock back. A second call does nothing. */
    @Override
    public synchronized void close() {
        if (lockFile.isOpen()) {
            closeQuietly(lockFile);
            OPEN.remove(real);
        }
    }
}
