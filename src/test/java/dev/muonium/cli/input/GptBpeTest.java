package dev.muonium.cli.input;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.EncodingType;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class GptBpeTest {
    private final GptBpe bpe = new GptBpe();

    @Test
    void encodesAsGpt2Does() {
        assertArrayEquals(new int[] {15496, 995, 0}, bpe.encode("Hello world!".getBytes(StandardCharsets.UTF_8)));
        assertEquals(0, bpe.encode(new byte[0]).length);
    }

    @Test
    void takesSpecialTokensForText() {
        byte[] text = "<|endoftext|>".getBytes(StandardCharsets.UTF_8);

        int[] tokens = bpe.encode(text);

        assertTrue(tokens.length > 1, Arrays.toString(tokens));
        assertEquals(new String(text, StandardCharsets.UTF_8), bpe.decode(tokens));
    }

    @Test
    void cuttingALongTextChangesNoToken() {
        byte[] text = Arrays.copyOf(TrainingText.builtIn().utf8(), 2_000_000);

        int[] tokens = bpe.encode(text);

        assertArrayEquals(
                Encodings.newLazyEncodingRegistry()
                        .getEncoding(EncodingType.R50K_BASE)
                        .encodeOrdinary(new String(text, StandardCharsets.UTF_8))
                        .toArray(),
                tokens);
        assertEquals(new String(text, StandardCharsets.UTF_8), bpe.decode(tokens));
    }

    @Test
    void refusesATokenThatThereIsNot() {
        var e = assertThrows(IllegalArgumentException.class, () -> bpe.decode(new int[] {0, 50_257}));
        assertEquals("token 1 is 50257; GPT-2's are from 0 to 50256", e.getMessage());
    }
}
