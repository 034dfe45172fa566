package dev.muonium.checkpoint;

import dev.muonium.checkpoint.Manifest.FileEntry;
import dev.muonium.checkpoint.Manifest.ManifestException;
import dev.muonium.events.CheckpointEvent;
import dev.muonium.events.Events;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * A checkpoint that was opened: every file is there, has the size and the SHA-256 of the manifest, and is a valid safetensors file.
 * Tensors are views of mapped files, valid until {@link #close()}. Thread-safe.
 */
public final class Checkpoint implements AutoCloseable {
    private static final int CHUNK = 1 << 20;
    private static final long LARGEST_MANIFEST = 100_000_000;

    private final Path folder;
    private final Manifest manifest;
    private final Map<String, Safetensors> parts;

    private Checkpoint(Path folder, Manifest manifest, Map<String, Safetensors> parts) {
        this.folder = folder;
        this.manifest = manifest;
        this.parts = parts;
    }

    /**
     * Opens and checks a checkpoint, the folder of one step.
     *
     * @throws CheckpointException if it is incomplete, changed, of another version, or cannot be read; one sentence says which
     */
    public static Checkpoint open(Path folder) {
        CheckpointEvent event = Events.checkpoint();
        if (event == null) {
            return read(folder);
        }
        event.operation = "open";
        event.step = -1;
        try {
            Checkpoint opened = read(folder);
            event.step = opened.step();
            event.bytes = opened.byteSize();
            return opened;
        } catch (CheckpointException e) {
            event.failure = e.getMessage();
            throw e;
        } finally {
            event.commit();
        }
    }

    private static Checkpoint read(Path folder) {
        Manifest manifest = manifest(folder);
        Map<String, Safetensors> parts = new LinkedHashMap<>();
        try {
            for (Map.Entry<String, FileEntry> entry : manifest.files().entrySet()) {
                Path file = folder.resolve(entry.getKey());
                requireUnchanged(file, entry.getValue());
                parts.put(entry.getKey().substring(0, entry.getKey().lastIndexOf('.')), Safetensors.open(file));
            }
            return new Checkpoint(folder, manifest, parts);
        } catch (SafetensorsException e) {
            parts.values().forEach(Safetensors::close);
            throw new CheckpointException("the checkpoint '" + folder + "' is not valid: " + e.getMessage(), e);
        } catch (CheckpointException e) {
            parts.values().forEach(Safetensors::close);
            throw e;
        } catch (IOException e) {
            parts.values().forEach(Safetensors::close);
            throw new CheckpointException(
                    "the checkpoint '" + folder + "' cannot be read: " + Safetensors.reason(e), e);
        }
    }

    /** Reads and checks the manifest alone. */
    static Manifest manifest(Path folder) {
        Path file = folder.resolve(Manifest.NAME);
        try {
            if (Files.isRegularFile(file) && Files.size(file) > LARGEST_MANIFEST) {
                throw new CheckpointException("'" + file + "' has " + Files.size(file) + " bytes; at most "
                        + LARGEST_MANIFEST + " are allowed");
            }
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
                    .toString();
            return Manifest.parse(text);
        } catch (CharacterCodingException e) {
            throw new CheckpointException("'" + file + "' is not UTF-8 text; it was changed", e);
        } catch (IOException e) {
            String reason = Files.exists(folder) ? Safetensors.reason(e) : "there is no such folder";
            throw new CheckpointException(
                    "the checkpoint '" + folder + "' has no readable " + Manifest.NAME + ": " + reason, e);
        } catch (ManifestException e) {
            throw new CheckpointException("'" + file + "' " + e.getMessage(), e);
        }
    }

    private static void requireUnchanged(Path file, FileEntry entry) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException("'" + file + "' is missing; the manifest lists it");
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (channel.size() != entry.bytes()) {
                throw new CheckpointException(
                        "'" + file + "' has " + channel.size() + " bytes; the manifest says " + entry.bytes());
            }
            MessageDigest digest = Manifest.sha256();
            ByteBuffer chunk = ByteBuffer.allocateDirect(Math.clamp(entry.bytes(), 1, CHUNK));
            while (channel.read(chunk.clear()) >= 0) {
                digest.update(chunk.flip());
            }
            if (!HexFormat.of().formatHex(digest.digest()).equals(entry.sha256())) {
                throw new CheckpointException(
                        "'" + file + "' does not have the checksum that the manifest says; it was changed");
            }
        }
    }

    /** Bytes of the tensors of all parts. */
    long byteSize() {
        return parts.values().stream()
                .flatMap(part -> part.names().stream().map(part::tensor))
                .mapToLong(tensor -> tensor.data().byteSize())
                .sum();
    }

    /** The folder. */
    public Path folder() {
        return folder;
    }

    /** Optimizer steps that had been taken. */
    public long step() {
        return manifest.step();
    }

    /** Configuration and whatever else was saved with it. Unmodifiable. */
    public Map<String, String> values() {
        return Collections.unmodifiableMap(manifest.values());
    }

    /** The names of its parts. */
    public Set<String> parts() {
        return Collections.unmodifiableSet(parts.keySet());
    }

    /**
     * A part.
     *
     * @throws CheckpointException if it has none of that name
     */
    public Safetensors part(String name) {
        Safetensors part = parts.get(name);
        if (part == null) {
            throw new CheckpointException(
                    "the checkpoint '" + folder + "' has no part '" + name + "'; it has " + parts.keySet());
        }
        return part;
    }

    /** Unmaps the files. A second call does nothing. */
    @Override
    public void close() {
        parts.values().forEach(Safetensors::close);
    }
}
