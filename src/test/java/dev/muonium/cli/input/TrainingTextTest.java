package dev.muonium.cli.input;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.UserMistake;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TrainingTextTest {
    private static final byte[] TEXT = "Fellow citizens of the Senate, größer €.\n".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void nameTheFile() {
        file = folder.resolve("corpus.txt");
    }

    @Test
    void carriesTheStateOfTheUnion() {
        TrainingText text = TrainingText.builtIn();

        assertEquals(10_761_879, text.utf8().length);
        assertTrue(new String(text.utf8(), StandardCharsets.UTF_8).startsWith("Fellow-Citizens of the Senate"));
    }

    @Test
    void readsPlainAndGzippedText() throws IOException {
        Files.write(file, TEXT);
        assertArrayEquals(TEXT, TrainingText.read(file).utf8());

        Files.write(file, gzip(TEXT));
        assertArrayEquals(TEXT, TrainingText.read(file).utf8());
        assertEquals("corpus.txt", TrainingText.read(file).name());
    }

    @Test
    void readsATextOfOneByte() throws IOException {
        Files.write(file, new byte[] {'a'});
        assertArrayEquals(new byte[] {'a'}, TrainingText.read(file).utf8());
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        refuses(file, "the training text '" + file + "' does not exist");
        refuses(folder, "the training text '" + folder + "' is a folder; name a text file (plain or .gz)");

        Files.write(file, new byte[0]);
        refuses(file, "the training text '" + file + "' is empty");

        Files.write(file, gzip(new byte[0]));
        refuses(file, "the training text '" + file + "' is empty");

        Files.write(file, new byte[] {'a', 0, 'b'});
        refuses(file, "the training text '" + file + "' is not text: byte 1 is 0; give plain text, or text in gzip");

        Files.write(file, new byte[] {'a', 'b', (byte) 0xE4, 'c'});
        refuses(
                file,
                "the training text '" + file
                        + "' is not UTF-8 text: byte 2 is 0xE4; convert it, for example with iconv -t UTF-8");

        Files.write(file, new byte[] {'a', (byte) 0xC3});
        refuses(
                file,
                "the training text '" + file
                        + "' is not UTF-8 text: byte 1 is 0xC3; convert it, for example with iconv -t UTF-8");
    }

    @Test
    void refusesADamagedGzipFile() throws IOException {
        byte[] whole = gzip(TEXT);
        Files.write(file, Arrays.copyOf(whole, whole.length / 2));

        String message =
                assertThrows(UserMistake.class, () -> TrainingText.read(file)).getMessage();

        assertTrue(message.startsWith("the training text '" + file + "' is a damaged gzip file: "), message);
    }

    private static void refuses(Path file, String sentence) {
        assertEquals(
                sentence,
                assertThrows(UserMistake.class, () -> TrainingText.read(file)).getMessage());
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }
}
