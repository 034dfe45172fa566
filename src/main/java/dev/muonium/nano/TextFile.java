package dev.muonium.nano;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads a file that is to be trained on, and tells what is wrong with it. */
public final class TextFile {
    private TextFile() {}

    /**
     * The bytes of a file of UTF-8 text.
     *
     * @throws IllegalArgumentException if it cannot be read, is empty, larger than 2 GiB, or not text: not valid UTF-8, or with a NUL
     */
    public static byte[] read(Path file) {
        if (!Files.exists(file)) {
            throw new IllegalArgumentException("there is no file '" + file + "' to train on");
        }
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException("'" + file + "' is not a file; training needs a file of UTF-8 text");
        }
        byte[] bytes;
        try {
            long size = Files.size(file);
            if (size > Integer.MAX_VALUE - 8) {
                throw new IllegalArgumentException("'" + file + "' has " + size
                        + " bytes; a text may have at most 2 GiB, so train on a part of it");
            }
            bytes = Files.readAllBytes(file);
        } catch (IOException e) {
            throw new IllegalArgumentException("'" + file + "' cannot be read: " + e, e);
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
                        name + " is not text (byte " + i + " is NUL); training needs a file of UTF-8 text");
            }
        }
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(
                    name + " is not UTF-8 text (" + e.getMessage() + "); convert it to UTF-8 first", e);
        }
    }
}
