package dev.muonium.cli.input;

import dev.muonium.cli.UserMistake;
import dev.muonium.nano.TextFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/**
 * A text to train on.
 *
 * @param name for reports
 * @param utf8 its bytes; not to be written to
 */
@SuppressWarnings("ArrayRecordComponent") // never compared; a copy of a corpus for a record's sake would be waste
public record TrainingText(String name, byte[] utf8) {
    private static final String CORPUS = "/dev/muonium/cli/corpus/sotu.txt.gz";

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
     * Reads a text file, gzipped or not.
     *
     * @throws UserMistake if it cannot be read, is empty, is larger than 2 GiB, or is not UTF-8 text
     */
    public static TrainingText read(Path file) {
        try {
            byte[] text = TextFile.read(file); // a file, so that it has a name
            return new TrainingText(file.getFileName().toString(), text);
        } catch (IllegalArgumentException e) {
            throw new UserMistake(String.valueOf(e.getMessage()), e);
        }
    }
}
