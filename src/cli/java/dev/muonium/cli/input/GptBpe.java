package dev.muonium.cli.input;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.Encoding;
import com.knuddels.jtokkit.api.EncodingType;
import com.knuddels.jtokkit.api.IntArrayList;
import dev.muonium.nano.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** GPT-2's byte-pair encoding (r50k), with tables from jtokkit. Special tokens in a text are text. */
public final class GptBpe implements Tokenizer {
    /** The 256 bytes, 50,000 merges and the end of a text. */
    private static final int VOCABULARY = 50_257;

    /** Large enough that cutting costs nothing, small enough that all processors have something to do. */
    private static final int PIECE = 1 << 18;

    private final Encoding encoding = Encodings.newLazyEncodingRegistry().getEncoding(EncodingType.R50K_BASE);

    @Override
    public String name() {
        return "gpt2";
    }

    @Override
    public int vocab() {
        return VOCABULARY;
    }

    /** Works on all processors. */
    @Override
    public int[] encode(byte[] utf8) {
        List<IntArrayList> encoded =
                pieces(utf8).parallelStream().map(encoding::encodeOrdinary).toList();
        int[] tokens = new int[encoded.stream().mapToInt(IntArrayList::size).sum()];
        int at = 0;
        for (IntArrayList piece : encoded) {
            System.arraycopy(piece.toArray(), 0, tokens, at, piece.size());
            at += piece.size();
        }
        return tokens;
    }

    @Override
    public String decode(int[] tokens) {
        IntArrayList list = new IntArrayList(tokens.length);
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0 || tokens[i] >= VOCABULARY) {
                throw new IllegalArgumentException(
                        "token " + i + " is " + tokens[i] + "; GPT-2's are from 0 to " + (VOCABULARY - 1));
            }
            list.add(tokens[i]);
        }
        return new String(encoding.decodeBytes(list), StandardCharsets.UTF_8);
    }

    /**
     * Only behind a line feed that stands alone between two characters that are not white space: the encoding's pattern makes a word of its own
     * of it, so no word spans the cut.
     */
    @Override
    public int cut(byte[] utf8, int from, int end) {
        for (int i = Math.max(1, from - 1); i < end - 1; i++) {
            if (utf8[i] == '\n' && isPrintableAscii(utf8[i - 1]) && isPrintableAscii(utf8[i + 1])) {
                return i + 1;
            }
        }
        return end;
    }

    private List<String> pieces(byte[] utf8) {
        List<String> pieces = new ArrayList<>();
        for (int begin = 0; begin < utf8.length || pieces.isEmpty(); ) {
            int end = utf8.length - begin <= PIECE ? utf8.length : cut(utf8, begin + PIECE, utf8.length);
            pieces.add(new String(utf8, begin, end - begin, StandardCharsets.UTF_8));
            begin = end;
        }
        return pieces;
    }

    private static boolean isPrintableAscii(byte c) {
        return c > ' ' && c < 0x7F;
    }
}
