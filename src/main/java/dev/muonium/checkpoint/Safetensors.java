package dev.muonium.checkpoint;

import dev.muonium.checkpoint.SafetensorsHeader.Entry;
import dev.muonium.checkpoint.SafetensorsHeader.HeaderException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A safetensors file, opened for reading: memory-mapped, so that only what is looked at is read from the disk.
 *
 * <p>Strict: a file that breaks the format anywhere is refused as a whole when it is opened. The format is a u64
 * little-endian length, that many bytes of JSON (at most 100 MB, beginning with '{'), and the data, which the tensors
 * cover without a gap, an overlap or a byte left over.
 *
 * <p>Thread-safe. A file must not be shortened while it is open: that is undefined for every memory-mapped file.
 */
public final class Safetensors implements AutoCloseable {
    private final Path file;
    private final Map<String, String> metadata;
    private final Map<String, StoredTensor> tensors;
    private final Arena arena;

    private Safetensors(Path file, Map<String, String> metadata, Map<String, StoredTensor> tensors, Arena arena) {
        this.file = file;
        this.metadata = metadata;
        this.tensors = tensors;
        this.arena = arena;
    }

    /**
     * Opens and checks a file; close it when its tensors are no longer looked at.
     *
     * @throws SafetensorsException if it cannot be read or breaks the format
     */
    public static Safetensors open(Path file) {
        // Asked first, because opening a pipe would wait for its writer.
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new SafetensorsException("'" + file + "' is not a regular file");
        }
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            long headerBytes = headerBytes(channel, size);
            long dataBytes = size - Long.BYTES - headerBytes;
            SafetensorsHeader header = SafetensorsHeader.parse(read(channel, Long.BYTES, (int) headerBytes), dataBytes);
            MemorySegment data = channel.map(MapMode.READ_ONLY, Long.BYTES + headerBytes, dataBytes, arena);
            Map<String, StoredTensor> tensors = new LinkedHashMap<>();
            for (Entry entry : header.entries()) {
                tensors.put(
                        entry.name(),
                        new StoredTensor(
                                entry.name(),
                                entry.type(),
                                entry.shape(),
                                data.asSlice(entry.begin(), entry.end() - entry.begin())));
            }
            return new Safetensors(file, header.metadata(), Collections.unmodifiableMap(tensors), arena);
        } catch (HeaderException e) {
            arena.close();
            throw new SafetensorsException("'" + file + "' " + e.getMessage(), e);
        } catch (IOException e) {
            arena.close();
            throw new SafetensorsException("'" + file + "' cannot be read: " + reason(e), e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /** The file that was opened. */
    public Path file() {
        return file;
    }

    /** The strings under {@code __metadata__}, in the file's order; empty if there are none. Unmodifiable. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** The names of the tensors, in the order of their data. Unmodifiable. */
    public Set<String> names() {
        return tensors.keySet();
    }

    /** The tensor of a name, if the file has it. */
    public Optional<StoredTensor> find(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /**
     * The tensor of a name.
     *
     * @throws SafetensorsException if the file has none; the message lists those it has
     */
    public StoredTensor tensor(String name) {
        StoredTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new SafetensorsException("'" + file + "' has no tensor '" + name + "'; it has " + tensors.keySet());
        }
        return tensor;
    }

    /** Unmaps the file. Reading a tensor's data afterwards is an {@link IllegalStateException}. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** The length of the JSON, checked before anything of that size is read. */
    private static long headerBytes(FileChannel channel, long size) throws IOException, HeaderException {
        if (size < Long.BYTES) {
            throw new HeaderException("is not a safetensors file: it has " + size
                    + " bytes, fewer than the 8 that hold the length of the header");
        }
        long length =
                read(channel, 0, Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).getLong();
        if (length < 0 || length > SafetensorsHeader.MAX_BYTES) {
            throw new HeaderException(
                    "is not a safetensors file: its header would have " + Long.toUnsignedString(length)
                            + " bytes, and at most " + SafetensorsHeader.MAX_BYTES + " are allowed");
        }
        if (length > size - Long.BYTES) {
            throw new HeaderException("is truncated or not a safetensors file: its header would have " + length
                    + " bytes, but only " + (size - Long.BYTES) + " follow");
        }
        return length;
    }

    private static ByteBuffer read(FileChannel channel, long position, int bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(bytes);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, position + buffer.position()) < 0) {
                throw new IOException("it became shorter while it was read");
            }
        }
        return buffer.flip();
    }

    static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException _ -> "there is no such file";
            case AccessDeniedException _ -> "access is denied";
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        };
    }
}
