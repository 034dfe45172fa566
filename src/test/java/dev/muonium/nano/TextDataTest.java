package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TextDataTest {
    private static final int CONTEXT = 8;
    private static final int BATCH = 3;

    private final Device device = Device.cpu(1);
    private final ByteTokenizer bytes = new ByteTokenizer();

    @AfterEach
    void everythingIsFreed() {
        assertEquals(0, device.ledger().bytes(Purpose.DATA));
        device.close();
    }

    /** Byte i is a function of i, so that a sequence tells where it is from. */
    private static byte[] ascending(int length) {
        byte[] text = new byte[length];
        for (int i = 0; i < length; i++) {
            text[i] = (byte) (1 + i % 127);
        }
        return text;
    }

    private static int[] copy(MemorySegment segment) {
        return segment.toArray(ValueLayout.JAVA_INT);
    }

    @Test
    void theLastTenthIsHeldOut() {
        try (TextData data = new TextData(device, bytes, "t", ascending(1000), CONTEXT)) {
            assertEquals(900, data.trainingTokens());
            assertEquals(100, data.validationTokens());
        }
    }

    @Test
    void theSplitIsBetweenCharacters() {
        byte[] text = ("a" + "é€".repeat(60)).getBytes(StandardCharsets.UTF_8); // nine tenths end within a €
        try (TextData data = new TextData(device, bytes, "t", text, CONTEXT)) {
            assertEquals(271, data.trainingTokens());
            assertEquals(text.length, data.trainingTokens() + data.validationTokens());
        }
    }

    @Test
    void targetsAreTheNextTokens() {
        try (TextData data = new TextData(device, bytes, "t", ascending(500), CONTEXT);
                Arena arena = Arena.ofConfined()) {
            MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            for (int step = 0; step < 50; step++) {
                data.trainingBatch(1, step, 0, BATCH, tokens, targets);
                for (int i = 0; i < BATCH * CONTEXT; i++) {
                    int token = tokens.getAtIndex(ValueLayout.JAVA_INT, i);
                    assertEquals(1 + token % 127, targets.getAtIndex(ValueLayout.JAVA_INT, i));
                }
            }
        }
    }

    @Test
    void aBatchIsAFunctionOfItsKey() {
        try (TextData data = new TextData(device, bytes, "t", ascending(1000), CONTEXT);
                Arena arena = Arena.ofConfined()) {
            MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            data.trainingBatch(1, 2, 3, BATCH, tokens, targets);
            int[] first = copy(tokens);
            int[][] others = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}};
            for (int[] key : others) {
                data.trainingBatch(key[0], key[1], key[2], BATCH, tokens, targets);
                assertFalse(Arrays.equals(first, copy(tokens)), () -> Arrays.toString(key));
            }
            data.trainingBatch(1, 2, 3, BATCH, tokens, targets);
            assertArrayEquals(first, copy(tokens));
        }
    }

    @Test
    void everyPlaceIsDrawnAndNoneBeyondTheEnd() {
        byte[] text = ascending(100);
        try (TextData data = new TextData(device, bytes, "t", text, CONTEXT);
                Arena arena = Arena.ofConfined()) {
            MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            Set<Integer> starts = new HashSet<>();
            for (int step = 0; step < 1000; step++) {
                data.trainingBatch(1, step, 0, BATCH, tokens, targets);
                for (int row = 0; row < BATCH; row++) {
                    starts.add(tokens.getAtIndex(ValueLayout.JAVA_INT, (long) row * CONTEXT) - 1);
                }
            }
            assertEquals(90 - CONTEXT, starts.size());
            assertEquals(
                    90 - CONTEXT - 1, starts.stream().mapToInt(i -> i).max().orElseThrow());
        }
    }

    @Test
    void validationCoversTheHeldOutPartEvenlyAndAlwaysTheSame() {
        try (TextData data = new TextData(device, bytes, "t", ascending(1200), CONTEXT);
                Arena arena = Arena.ofConfined()) {
            MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            MemorySegment targets = arena.allocate(ValueLayout.JAVA_INT, BATCH * CONTEXT);
            data.validationBatch(0, 2, BATCH, tokens, targets);
            assertEquals(1 + 1080 % 127, tokens.getAtIndex(ValueLayout.JAVA_INT, 0));
            int[] first = copy(tokens);
            data.validationBatch(1, 2, BATCH, tokens, targets);
            assertEquals(1 + 1199 % 127, targets.getAtIndex(ValueLayout.JAVA_INT, BATCH * CONTEXT - 1));
            data.validationBatch(0, 2, BATCH, tokens, targets);
            assertArrayEquals(first, copy(tokens));
        }
    }

    @Test
    void bytesTakeAByteEach() {
        try (TextData data = new TextData(device, bytes, "t", ascending(10_000), CONTEXT)) {
            assertTrue(
                    device.ledger().bytes(Purpose.DATA) < 10_200,
                    () -> device.ledger().toString());
            assertEquals(10_000, data.trainingTokens() + data.validationTokens());
        }
    }

    private static String refusal(org.junit.jupiter.api.function.Executable call) {
        return assertThrows(IllegalArgumentException.class, call).getMessage();
    }

    @Test
    void refusesTextsThatAreTooShort() {
        assertEquals(
                "speech.txt is too short: the last tenth, held out for validation, has 8 tokens, fewer than a context"
                        + " of 8 and the token after it; take a longer text or a smaller context",
                refusal(() -> new TextData(device, bytes, "speech.txt", ascending(80), CONTEXT)));
        assertEquals(
                "t is empty; training needs UTF-8 text",
                refusal(() -> new TextData(device, bytes, "t", new byte[0], CONTEXT)));
    }

    @Test
    void refusesFilesThatAreNoText(@TempDir Path folder) throws IOException {
        Path missing = folder.resolve("missing.txt");
        assertEquals("there is no file '" + missing + "' to train on", refusal(() -> TextFile.read(missing)));
        assertEquals(
                "'" + folder + "' is a folder; training needs a file of UTF-8 text",
                refusal(() -> TextFile.read(folder)));
        Path binary = Files.write(folder.resolve("a.bin"), new byte[] {65, 0, 66});
        assertEquals(
                "'" + binary + "' is not text (byte 1 is NUL); training needs UTF-8 text, plain or gzipped",
                refusal(() -> TextFile.read(binary)));
        Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'n', (byte) 0xE9, 'e'});
        assertTrue(refusal(() -> TextFile.read(latin)).contains("is not UTF-8 text"));
        Path empty = Files.createFile(folder.resolve("empty.txt"));
        assertEquals("'" + empty + "' is empty; training needs UTF-8 text", refusal(() -> TextFile.read(empty)));
        Path text = Files.writeString(folder.resolve("text.txt"), "née");
        assertArrayEquals("née".getBytes(StandardCharsets.UTF_8), TextFile.read(text));
    }

    @Test
    void bytesAreTokensAndBack() {
        byte[] utf8 = "née €".getBytes(StandardCharsets.UTF_8);
        int[] tokens = bytes.encode(utf8);
        assertEquals(utf8.length, tokens.length);
        assertEquals(0xC3, tokens[1]);
        assertEquals("née €", bytes.decode(tokens));
        assertEquals("token 1 is 256; a byte is from 0 to 255", refusal(() -> bytes.decode(new int[] {1, 256})));
    }
}
