package dev.muonium.cli.input;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.cli.UserMistake;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TrainingTextTest {
    @TempDir
    private Path folder;

    @Test
    void carriesTheStateOfTheUnion() {
        TrainingText text = TrainingText.builtIn();

        assertEquals(10_761_879, text.utf8().length);
        assertTrue(new String(text.utf8(), StandardCharsets.UTF_8).startsWith("Fellow-Citizens of the Senate"));
    }

    @Test
    void isNamedAsItsFile() throws IOException {
        Path file = Files.writeString(folder.resolve("corpus.txt"), "some text");

        TrainingText text = TrainingText.read(file);

        assertEquals("corpus.txt", text.name());
        assertArrayEquals("some text".getBytes(StandardCharsets.UTF_8), text.utf8());
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        Path file = Files.write(folder.resolve("corpus.txt"), new byte[] {'a', 0});

        var mistake = assertThrows(UserMistake.class, () -> TrainingText.read(file));

        assertEquals(
                "'" + file + "' is not text (byte 1 is NUL); training needs UTF-8 text, plain or gzipped",
                mistake.getMessage());
    }
}
