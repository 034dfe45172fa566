package dev.muonium.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Writes safetensors files. The header is padded with spaces to a multiple of 8 and the widest elements come first, so
 * that every tensor of a mapped file is aligned to its element type.
 */
public final class SafetensorsWriter {
    /** Data goes through a buffer of this size, because only some heap segments have a view as a byte buffer. */
    private static final int CHUNK = 1 << 20;

    private SafetensorsWriter() {}

    /**
     * Writes a file as a whole or not at all: to a sibling, which is forced to the disk and then renamed over it.
     *
     * @param tensors their data is only read; the names must differ
     * @throws IllegalArgumentException if two tensors have one name, or one is called {@code __metadata__}
     * @throws SafetensorsException if the file cannot be written; what was there before is untouched
     */
    public static void write(Path file, Map<String, String> metadata, List<StoredTensor> tensors) {
        write(file, metadata, tensors, null);
    }

    /** The same, and every byte that is written goes to {@code digest} as well. */
    static void write(
            Path file, Map<String, String> metadata, List<StoredTensor> tensors, @Nullable MessageDigest digest) {
        writePending(file, metadata, tensors.stream().map(PendingTensor::of).toList(), digest);
    }

    /** The same for tensors that are made while the file is written, one after the other. */
    static void writePending(
            Path file, Map<String, String> metadata, List<PendingTensor> tensors, @Nullable MessageDigest digest) {
        List<PendingTensor> ordered = new ArrayList<>(tensors);
        ordered.sort(
                Comparator.comparingInt((PendingTensor tensor) -> tensor.type().byteSize())
                        .reversed());
        requireNames(ordered);
        byte[] header = header(metadata, ordered);
        if (header.length > SafetensorsHeader.MAX_BYTES) {
            throw new IllegalArgumentException("the header of '" + file + "' would have " + header.length
                    + " bytes; at most " + SafetensorsHeader.MAX_BYTES + " are allowed");
        }
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            throw new IllegalArgumentException("'" + file + "' is the root folder; name a file to write");
        }
        try {
            Path sibling = folder.resolve("." + file.getFileName() + "." + UUID.randomUUID() + ".tmp");
            try {
                writeAll(sibling, header, ordered, digest);
                Files.move(sibling, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                force(folder);
            } finally {
                Files.deleteIfExists(sibling);
            }
        } catch (IOException e) {
            throw new SafetensorsException("'" + file + "' cannot be written: " + Safetensors.reason(e), e);
        }
    }

    private static void requireNames(List<PendingTensor> tensors) {
        Set<String> names = new HashSet<>();
        for (PendingTensor tensor : tensors) {
            if (tensor.name().equals(SafetensorsHeader.METADATA)) {
                throw new IllegalArgumentException("no tensor may be called '" + SafetensorsHeader.METADATA + "'");
            }
            if (!names.add(tensor.name())) {
                throw new IllegalArgumentException("two tensors are called '" + tensor.name() + "'");
            }
        }
    }

    private static byte[] header(Map<String, String> metadata, List<PendingTensor> tensors) {
        StringBuilder json = new StringBuilder("{");
        if (!metadata.isEmpty()) {
            quote(json, SafetensorsHeader.METADATA).append(":{");
            String comma = "";
            for (Map.Entry<String, String> entry : metadata.entrySet()) {
                quote(json.append(comma), entry.getKey()).append(':');
                quote(json, entry.getValue());
                comma = ",";
            }
            json.append('}');
        }
        long begin = 0;
        for (PendingTensor tensor : tensors) {
            long end = begin + tensor.byteSize();
            quote(json.append(json.length() > 1 ? "," : ""), tensor.name())
                    .append(":{\"dtype\":\"")
                    .append(tensor.type())
                    .append("\",\"shape\":[");
            for (int axis = 0; axis < tensor.shape().size(); axis++) {
                json.append(axis == 0 ? "" : ",").append(tensor.shape().get(axis));
            }
            json.append("],\"data_offsets\":[")
                    .append(begin)
                    .append(',')
                    .append(end)
                    .append("]}");
            begin = end;
        }
        byte[] bytes = json.append('}').toString().getBytes(StandardCharsets.UTF_8);
        byte[] padded = Arrays.copyOf(bytes, (bytes.length + 7) / 8 * 8);
        Arrays.fill(padded, bytes.length, padded.length, (byte) ' ');
        return padded;
    }

    static StringBuilder quote(StringBuilder json, String text) {
        json.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            // A lone surrogate has no UTF-8; its escape does.
            if (c == '"' || c == '\\' || c < ' ' || Character.isSurrogate(c)) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"');
    }

    private static void writeAll(Path file, byte[] header, List<PendingTensor> tensors, @Nullable MessageDigest digest)
            throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            writeAll(channel, length.putLong(0, header.length), digest);
            writeAll(channel, ByteBuffer.wrap(header), digest);
            ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
            MemorySegment staged = MemorySegment.ofBuffer(chunk);
            for (PendingTensor tensor : tensors) {
                MemorySegment data = tensor.data().get();
                long bytes = tensor.byteSize();
                for (long at = 0; at < bytes; at += CHUNK) {
                    int part = (int) Math.min(CHUNK, bytes - at);
                    MemorySegment.copy(data, at, staged, 0, part);
                    writeAll(channel, chunk.clear().limit(part), digest);
                }
            }
            channel.force(true);
        }
    }

    private static void writeAll(FileChannel channel, ByteBuffer buffer, @Nullable MessageDigest digest)
            throws IOException {
        if (digest != null) {
            digest.update(buffer.duplicate());
        }
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** Makes the renaming itself durable. */
    static void force(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
