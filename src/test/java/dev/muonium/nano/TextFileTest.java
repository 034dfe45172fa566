package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

final class TextFileTest {
    private static final byte[] TEXT = "Fellow citizens of the Senate, größer €.\n".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void nameTheFile() {
        file = folder.resolve("corpus.txt");
    }

    @Test
    void readsPlainAndGzippedText() throws IOException {
        Files.write(file, TEXT);
        assertArrayEquals(TEXT, TextFile.read(file));

        Files.write(file, gzip(TEXT));
        assertArrayEquals(TEXT, TextFile.read(file));
    }

    @Test
    void readsATextOfOneByte() throws IOException {
        Files.write(file, new byte[] {'a'});
        assertArrayEquals(new byte[] {'a'}, TextFile.read(file));
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        refuses(file, "there is no file '" + file + "' to train on");
        refuses(folder, "'" + folder + "' is a folder; training needs a file of UTF-8 text");

        Files.write(file, new byte[0]);
        refuses(file, "'" + file + "' is empty; training needs UTF-8 text");

        Files.write(file, gzip(new byte[0]));
        refuses(file, "'" + file + "' is empty; training needs UTF-8 text");

        Files.write(file, new byte[] {'a', 0, 'b'});
        refuses(file, "'" + file + "' is not text (byte 1 is NUL); training needs UTF-8 text, plain or gzipped");

        Files.write(file, new byte[] {'a', 'b', (byte) 0xE4, 'c'});
        refuses(file, "'" + file + "' is not UTF-8 text (byte 2 is 0xE4); convert it, for example with iconv -t UTF-8");

        Files.write(file, new byte[] {'a', (byte) 0xC3});
        refuses(file, "'" + file + "' is not UTF-8 text (byte 1 is 0xC3); convert it, for example with iconv -t UTF-8");
    }

    @Test
    void refusesADamagedGzipFile() throws IOException {
        byte[] whole = gzip(TEXT);
        Files.write(file, Arrays.copyOf(whole, whole.length / 2));

        String message = assertThrows(IllegalArgumentException.class, () -> TextFile.read(file))
                .getMessage();

        assertTrue(message.startsWith("'" + file + "' is a damaged gzip file: "), message);
    }

    private static void refuses(Path file, String sentence) {
        assertEquals(
                sentence,
                assertThrows(IllegalArgumentException.class, () -> TextFile.read(file))
                        .getMessage());
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }
}
