package dev.muonium.nano;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Texts longer than what is encoded at a time. */
final class TokenBufferTest {
    private static final int BEGIN = 7;

    private static byte[] text() {
        byte[] text = new byte[5_000_000];
        for (int i = 0; i < text.length; i++) {
            text[i] = (byte) (1 + i * 31L % 127);
        }
        return text;
    }

    @Test
    void bytesStayBytes() {
        byte[] text = text();
        TokenBuffer buffer = TokenBuffer.of(new ByteTokenizer(), text, BEGIN, text.length);
        assertEquals(text.length - BEGIN, buffer.size());
        try (Device device = Device.cpu(1);
                Tensor tokens = buffer.moveTo(new StagingAllocator(device), "tokens")) {
            assertEquals(ElementType.U8, tokens.type());
            assertArrayEquals(
                    Arrays.copyOfRange(text, BEGIN, text.length),
                    tokens.segment().toArray(ValueLayout.JAVA_BYTE));
        }
    }

    @Test
    void aTextIsCutOnlyWhereItsTokenizerAllows() {
        byte[] text = text();
        Wide wide = new Wide();
        try (Device device = Device.cpu(1);
                Tensor tokens =
                        TokenBuffer.of(wide, text, BEGIN, text.length).moveTo(new StagingAllocator(device), "tokens")) {
            assertEquals(ElementType.I32, tokens.type());
            assertArrayEquals(
                    new ByteTokenizer().encode(Arrays.copyOfRange(text, BEGIN, text.length)),
                    tokens.segment().toArray(ValueLayout.JAVA_INT));
        }
        assertTrue(wide.pieces > 1, () -> wide.pieces + " pieces");
    }

    /** As many tokens as need an int, and only even places to cut at. */
    private static final class Wide implements Tokenizer {
        private final ByteTokenizer bytes = new ByteTokenizer();
        private int pieces;

        @Override
        public String name() {
            return "wide";
        }

        @Override
        public int vocab() {
            return 1000;
        }

        @Override
        public int[] encode(byte[] utf8) {
            pieces++;
            return bytes.encode(utf8);
        }

        @Override
        public int cut(byte[] utf8, int from, int end) {
            return Math.min(end, from + from % 2);
        }

        @Override
        public String decode(int[] tokens) {
            return bytes.decode(tokens);
        }
    }
}
