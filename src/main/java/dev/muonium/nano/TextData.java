package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.CounterRandom;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

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
    private final byte[] trainingText;
    private final byte[] validationText;
    private final Tensor training;
    private final Tensor validation;
    private volatile @Nullable String sha256;

    /**
     * @param device beside which the tokens lie, in memory of the host; its ledger counts them
     * @param name how messages call the text, for example a quoted file name
     * @param text valid UTF-8, not changed afterwards
     * @param context tokens of a sequence
     * @throws IllegalArgumentException if it is not text, or one of its parts is shorter than a context and the token after it
     */
    public TextData(Device device, Tokenizer tokenizer, String name, byte[] text, int context) {
        TextFile.requireText(name, text);
        this.context = context;
        int split = (int) (text.length * TRAINING_PART);
        while (split < text.length && (text[split] & 0xC0) == 0x80) {
            split++; // within a character of several bytes
        }
        this.trainingText = Arrays.copyOfRange(text, 0, split);
        this.validationText = Arrays.copyOfRange(text, split, text.length);
        int[] trainingTokens = tokenizer.encode(trainingText);
        int[] validationTokens = tokenizer.encode(validationText);
        requireLength(name, "the first nine tenths have ", trainingTokens.length);
        requireLength(name, "the last tenth, held out for validation, has ", validationTokens.length);
        Allocator allocator = new StagingAllocator(device);
        this.training = store(allocator, "training tokens", tokenizer, trainingTokens);
        try {
            this.validation = store(allocator, "validation tokens", tokenizer, validationTokens);
        } catch (RuntimeException e) {
            training.close();
            throw e;
        }
    }

    private void requireLength(String name, String part, int tokens) {
        if (tokens < context + 1) {
            throw new IllegalArgumentException(
                    name + " is too short: " + part + tokens + " tokens, fewer than a context of " + context
                            + " and the token after it; take a longer text or a smaller context");
        }
    }

    private static Tensor store(Allocator allocator, String name, Tokenizer tokenizer, int[] tokens) {
        boolean bytes = tokenizer.vocab() <= 256;
        Tensor tensor = allocator.allocate(
                Purpose.DATA, name, bytes ? ElementType.U8 : ElementType.I32, Shape.of(tokens.length));
        MemorySegment segment = tensor.segment();
        if (bytes) {
            for (int i = 0; i < tokens.length; i++) {
                segment.set(ValueLayout.JAVA_BYTE, i, (byte) tokens[i]);
            }
        } else {
            MemorySegment.copy(tokens, 0, segment, ValueLayout.JAVA_INT, 0, tokens.length);
        }
        return tensor;
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

    /** The text to train on; not to be changed. */
    byte[] trainingText() {
        return trainingText;
    }

    /** The held-out text; not to be changed. */
    byte[] validationText() {
        return validationText;
    }

    /** SHA-256 of the whole text, in hexadecimal digits: whether another run has the same. Computed when it is asked for first. */
    String sha256() {
        String known = sha256;
        if (known == null) {
            known = digest();
            sha256 = known; // two threads may both compute it, and get the same
        }
        return known;
    }

    private String digest() {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(trainingText);
            return HexFormat.of().formatHex(digest.digest(validationText));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /**
     * The order-2 byte model of the text to train on, as a yardstick.
     *
     * @return its cross-entropy on the held-out text, in nats per byte
     */
    public double orderTwoCrossEntropy() {
        return new OrderTwoModel(trainingText).crossEntropy(validationText);
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
