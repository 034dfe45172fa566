package dev.muonium.nano;

import dev.muonium.memory.Allocator;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;

/**
 * The tokens of a text on their way off the heap. The text is encoded in pieces, and a piece is kept as small as its tokens are, so that no
 * array of four bytes per token of the whole text is ever made.
 */
final class TokenBuffer {
    /** Bytes of text that are encoded at a time: a few pieces for each processor of a tokenizer that uses them all. */
    private static final int PIECE = 1 << 21;

    private final boolean bytes;
    private final Deque<MemorySegment> pieces = new ArrayDeque<>();
    private long size;

    private TokenBuffer(boolean bytes) {
        this.bytes = bytes;
    }

    /** The tokens of the bytes {@code [begin, end)} of a text. */
    static TokenBuffer of(Tokenizer tokenizer, byte[] text, int begin, int end) {
        TokenBuffer buffer = new TokenBuffer(tokenizer.vocab() <= 256);
        for (int from = begin; from < end; ) {
            int to = end - from <= PIECE ? end : tokenizer.cut(text, from + PIECE, end);
            buffer.add(tokenizer.encode(Arrays.copyOfRange(text, from, to)));
            from = to;
        }
        return buffer;
    }

    private void add(int[] tokens) {
        size += tokens.length;
        pieces.add(bytes ? MemorySegment.ofArray(narrow(tokens)) : MemorySegment.ofArray(tokens));
    }

    private static byte[] narrow(int[] tokens) {
        byte[] narrow = new byte[tokens.length];
        for (int i = 0; i < narrow.length; i++) {
            narrow[i] = (byte) tokens[i];
        }
        return narrow;
    }

    /** The number of tokens. */
    long size() {
        return size;
    }

    /** Moves them to a tensor: U8 for a vocabulary of at most 256 tokens, else I32. This is empty afterwards. */
    Tensor moveTo(Allocator allocator, String name) {
        Tensor tensor =
                allocator.allocate(Purpose.DATA, name, bytes ? ElementType.U8 : ElementType.I32, Shape.of(size));
        long at = 0;
        while (!pieces.isEmpty()) {
            MemorySegment piece = pieces.remove();
            MemorySegment.copy(piece, 0, tensor.segment(), at, piece.byteSize());
            at += piece.byteSize();
        }
        size = 0;
        return tensor;
    }
}
