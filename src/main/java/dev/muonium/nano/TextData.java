package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.CounterRandom;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * A text as off-heap tokens, split into a part to train on and a held-out part at the end to validate with: the last tenth, from the
 * beginning of a character on.
 *
 * <p>Batches are drawn by keys, not from a state: the same (seed, step, micro-batch) gives the same batch, whenever it is asked for.
 * Owns its memory. Thread-safe until it is closed.
 */
public final class TextData implements AutoCloseable {
    private static final double TRAINING_PART = 0.9;

    private final int context;
    private final Tensor training;
    private final Tensor validation;
    private final String sha256;

    /**
     * Keeps the tokens only: the text need not stay in memory.
     *
     * @param device beside which the tokens lie, in memory of the host; its ledger counts them
     * @param name how messages call the text, for example a quoted file name
     * @param text valid UTF-8
     * @param context tokens of a sequence
     * @throws IllegalArgumentException if it is not text, or one of its parts is shorter than a context and the token after it
     */
    public TextData(Device device, Tokenizer tokenizer, String name, byte[] text, int context) {
        TextFile.requireText(name, text);
        this.context = context;
        this.sha256 = digest(text);
        int split = split(text);
        TokenBuffer trainingTokens = TokenBuffer.of(tokenizer, text, 0, split);
        TokenBuffer validationTokens = TokenBuffer.of(tokenizer, text, split, text.length);
        requireLength(name, "the first nine tenths have ", trainingTokens.size());
        requireLength(name, "the last tenth, held out for validation, has ", validationTokens.size());
        Allocator allocator = new StagingAllocator(device);
        this.training = trainingTokens.moveTo(allocator, "training tokens");
        try {
            this.validation = validationTokens.moveTo(allocator, "validation tokens");
        } catch (RuntimeException e) {
            training.close();
            throw e;
        }
    }

    /** Where the held-out part of a text begins. */
    private static int split(byte[] text) {
        int split = (int) (text.length * TRAINING_PART);
        while (split < text.length && (text[split] & 0xC0) == 0x80) {
            split++; // within a character of several bytes
        }
        return split;
    }

    private void requireLength(String name, String part, long tokens) {
        if (tokens < context + 1) {
            throw new IllegalArgumentException(
                    name + " is too short: " + part + tokens + " tokens, fewer than a context of " + context
                            + " and the token after it; take a longer text or a smaller context");
        }
    }

    /** Tokens of a sequence. */
    public int context() {
        return context;
    }

    /** The number of tokens to train on. */
    public long trainingTokens() {
        return training.elements();
    }

    /** The number of held-out tokens. */
    public long validationTokens() {
        return validation.elements();
    }

    /** SHA-256 of the whole text, in hexadecimal digits: whether another run has the same. */
    String sha256() {
        return sha256;
    }

    private static String digest(byte[] text) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /**
     * The order-2 byte model of the part of a text that is trained on, as a yardstick.
     *
     * @param text as it was made of
     * @return its cross-entropy on the held-out part, in nats per byte
     */
    public static double orderTwoCrossEntropy(byte[] text) {
        int split = split(text);
        return new OrderTwoModel(Arrays.copyOfRange(text, 0, split))
                .crossEntropy(Arrays.copyOfRange(text, split, text.length));
    }

    /**
     * A batch to train on: {@code batch} sequences, each from a place drawn by (seed, step, micro-batch, sequence).
     *
     * @param tokens gets {@code batch × context} tokens (I32)
     * @param targets gets the token that follows each
     */
    public void trainingBatch(
            long seed, int step, int microBatch, int batch, MemorySegment tokens, MemorySegment targets) {
        long places = training.elements() - context;
        for (int row = 0; row < batch; row++) {
            // Counted through the micro-batches of a step: they are the sequences of one batch as large as all of them.
            long sequence = (long) microBatch * batch + row;
            copy(
                    training,
                    CounterRandom.below(places, seed ^ 0x7E47L, (long) step << 32, sequence),
                    row,
                    tokens,
                    targets);
        }
    }

    /**
     * One of the fixed batches to validate with: sequences that lie evenly over the held-out part.
     *
     * @param index from 0 to {@code count - 1}
     * @param count how many batches there are
     */
    public void validationBatch(int index, int count, int batch, MemorySegment tokens, MemorySegment targets) {
        long places = validation.elements() - context;
        long sequences = (long) count * batch;
        for (int row = 0; row < batch; row++) {
            long sequence = (long) index * batch + row;
            copy(validation, sequence * (places - 1) / Math.max(1, sequences - 1), row, tokens, targets);
        }
    }

    private void copy(Tensor from, long begin, int row, MemorySegment tokens, MemorySegment targets) {
        for (int i = 0; i < context; i++) {
            long to = (long) row * context + i;
            tokens.setAtIndex(ValueLayout.JAVA_INT, to, token(from, begin + i));
            targets.setAtIndex(ValueLayout.JAVA_INT, to, token(from, begin + i + 1));
        }
    }

    private static int token(Tensor from, long i) {
        MemorySegment segment = from.segment();
        return from.type() == ElementType.U8
                ? Byte.toUnsignedInt(segment.get(ValueLayout.JAVA_BYTE, i))
                : segment.getAtIndex(ValueLayout.JAVA_INT, i);
    }

    /** Frees the tokens. */
    @Override
    public void close() {
        training.close();
        validation.close();
    }
}
