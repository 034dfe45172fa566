package dev.muonium.nano;

import java.nio.charset.StandardCharsets;

/** One token per byte: 256 of them, nothing to learn or to load. */
public final class ByteTokenizer implements Tokenizer {
    /** Makes one; they are all alike. */
    public ByteTokenizer() {}

    @Override
    public String name() {
        return "byte";
    }

    @Override
    public int vocab() {
        return 256;
    }

    @Override
    public int[] encode(byte[] utf8) {
        int[] tokens = new int[utf8.length];
        for (int i = 0; i < utf8.length; i++) {
            tokens[i] = Byte.toUnsignedInt(utf8[i]);
        }
        return tokens;
    }

    /** Anywhere: a byte knows nothing of its neighbours. */
    @Override
    public int cut(byte[] utf8, int from, int end) {
        return from;
    }

    @Override
    public String decode(int[] tokens) {
        byte[] bytes = new byte[tokens.length];
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0 || tokens[i] > 255) {
                throw new IllegalArgumentException("token " + i + " is " + tokens[i] + "; a byte is from 0 to 255");
            }
            bytes[i] = (byte) tokens[i];
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
