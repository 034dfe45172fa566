package dev.muonium.cli.input;

import dev.muonium.cli.UserMistake;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * A text to train on.
 *
 * @param name for reports
 * @param utf8 its bytes; not to be written to
 */
@SuppressWarnings("ArrayRecordComponent") // never compared; a copy of a corpus for a record's sake would be waste
public record TrainingText(String name, byte[] utf8) {
    private static final String CORPUS = "/dev/muonium/cli/corpus/sotu.txt.gz";

    /** Java arrays end here; larger corpora call for a data loader, not for a text file. */
    private static final int MAX_BYTES = Integer.MAX_VALUE - 64;

    /** The State of the Union addresses 1790-2021, which the jar carries. */
    public static TrainingText builtIn() {
        try (InputStream in = TrainingText.class.getResourceAsStream(CORPUS)) {
            if (in == null) {
                throw new IllegalStateException("the built-in corpus " + CORPUS + " is missing from the jar");
            }
            return new TrainingText("State of the Union addresses 1790-2021", new GZIPInputStream(in).readAllBytes());
        } catch (IOException e) {
            throw new IllegalStateException("the built-in corpus " + CORPUS + " is damaged", e);
        }
    }

    /**
     * Reads a text file, gzipped or not (told by its first bytes, not by its name).
     *
     * @throws UserMistake if it cannot be read, is empty, is larger than 2 GiB, or is not UTF-8 text
     */
    public static TrainingText read(Path file) {
        String named = "the training text '" + file + "'";
        if (Files.isDirectory(file)) {
            throw new UserMistake(named + " is a folder; name a text file (plain or .gz)");
        }
        byte[] bytes;
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
            in.mark(2);
            boolean gzipped = in.read() == 0x1F && in.read() == 0x8B;
            in.reset();
            bytes = (gzipped ? new GZIPInputStream(in, 1 << 16) : in).readNBytes(MAX_BYTES);
        } catch (NoSuchFileException e) {
            throw new UserMistake(named + " does not exist", e);
        } catch (AccessDeniedException e) {
            throw new UserMistake(named + " cannot be read: access is denied", e);
        } catch (ZipException | java.io.EOFException e) {
            throw new UserMistake(named + " is a damaged gzip file: " + e.getMessage(), e);
        } catch (IOException e) {
            throw new UserMistake(named + " cannot be read: " + e.getMessage(), e);
        }
        if (bytes.length == MAX_BYTES) {
            throw new UserMistake(named + " has more than 2 GiB; split it");
        }
        if (bytes.length == 0) {
            throw new UserMistake(named + " is empty");
        }
        requireText(named, bytes);
        return new TrainingText(file.getFileName().toString(), bytes);
    }

    private static void requireText(String named, byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == 0) {
                throw new UserMistake(named + " is not text: byte " + i + " is 0; give plain text, or text in gzip");
            }
        }
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer scratch = CharBuffer.allocate(1 << 16);
        CoderResult result;
        do {
            result = decoder.decode(in, scratch.clear(), true);
        } while (result.isOverflow());
        if (result.isError()) {
            throw new UserMistake(named + " is not UTF-8 text: byte " + in.position() + " is 0x"
                    + String.format("%02X", bytes[in.position()]) + "; convert it, for example with iconv -t UTF-8");
        }
    }
}
