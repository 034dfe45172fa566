package dev.muonium.nano;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/** Reads a file that is to be trained on, and tells what is wrong with it. */
public final class TextFile {
    /** Java arrays end here. */
    private static final int MAX_BYTES = Integer.MAX_VALUE - 64;

    private TextFile() {}

    /**
     * The bytes of a file of UTF-8 text, unpacked if it is gzipped (told by its first bytes, not by its name).
     *
     * @throws IllegalArgumentException if it cannot be read, is empty, larger than 2 GiB, or not text: not valid UTF-8, or with a NUL
     */
    public static byte[] read(Path file) {
        if (!Files.exists(file)) {
            throw new IllegalArgumentException("there is no file '" + file + "' to train on");
        }
        if (Files.isDirectory(file)) {
            throw new IllegalArgumentException("'" + file + "' is a folder; training needs a file of UTF-8 text");
        }
        byte[] bytes;
        try (InputStream in = unpacked(new BufferedInputStream(Files.newInputStream(file)))) {
            bytes = in.readNBytes(MAX_BYTES);
        } catch (AccessDeniedException e) {
            throw new IllegalArgumentException("'" + file + "' cannot be read: access is denied", e);
        } catch (ZipException | EOFException e) {
            throw new IllegalArgumentException("'" + file + "' is a damaged gzip file: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new IllegalArgumentException("'" + file + "' cannot be read: " + e.getMessage(), e);
        }
        if (bytes.length == MAX_BYTES) {
            throw new IllegalArgumentException(
                    "'" + file + "' has more than 2 GiB of text; train on a part of it, for example with split -C 1G");
        }
        requireText("'" + file + "'", bytes);
        return bytes;
    }

    /**
     * Checks that bytes are text.
     *
     * @param name how messages call it
     * @throws IllegalArgumentException if they are none, not valid UTF-8, or contain a NUL
     */
    public static void requireText(String name, byte[] bytes) {
        if (bytes.length == 0) {
            throw new IllegalArgumentException(name + " is empty; training needs UTF-8 text");
        }
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == 0) {
                throw new IllegalArgumentException(
                        name + " is not text (byte " + i + " is NUL); training needs UTF-8 text, plain or gzipped");
            }
        }
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(bytes);
        // Decoded in pieces and thrown away: only whether it can be done is of interest.
        CharBuffer piece = CharBuffer.allocate(1 << 16);
        CoderResult result;
        do {
            result = decoder.decode(in, piece.clear(), true);
        } while (result.isOverflow());
        if (result.isError()) {
            throw new IllegalArgumentException(name + " is not UTF-8 text (byte " + in.position() + " is 0x"
                    + String.format("%02X", bytes[in.position()]) + "); convert it, for example with iconv -t UTF-8");
        }
    }

    private static InputStream unpacked(BufferedInputStream in) throws IOException {
        in.mark(2);
        boolean gzipped = in.read() == 0x1F && in.read() == 0x8B;
        in.reset();
        return gzipped ? new GZIPInputStream(in, 1 << 16) : in;
    }
}
