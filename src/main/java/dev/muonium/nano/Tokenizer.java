package dev.muonium.nano;

/** Turns text into tokens and back. Immutable and thread-safe. */
public interface Tokenizer {
    /** A short name for messages and reports. */
    String name();

    /** The number of tokens; every token is from 0 to {@code vocab() - 1}. */
    int vocab();

    /**
     * The tokens of a text.
     *
     * @param utf8 the text, valid UTF-8
     */
    int[] encode(byte[] utf8);

    /**
     * Where a long text can be cut so that the tokens of both pieces are those of the whole. A tokenizer that knows of no such place cuts at the
     * end, which is always right, but then the whole text is encoded at once.
     *
     * @param utf8 the text, valid UTF-8
     * @param from from where on to look, more than 0
     * @param end where the text ends, at least {@code from}
     * @return the index at which the second piece begins, from {@code from} to {@code end}
     */
    default int cut(byte[] utf8, int from, int end) {
        return end;
    }

    /**
     * The text of tokens. A character that the tokens hold only in part becomes U+FFFD.
     *
     * @throws IllegalArgumentException if a token is not from 0 to {@code vocab() - 1}
     */
    String decode(int[] tokens);
}
