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
     * The text of tokens. A character that the tokens hold only in part becomes U+FFFD.
     *
     * @throws IllegalArgumentException if a token is not from 0 to {@code vocab() - 1}
     */
    String decode(int[] tokens);
}
