package dev.muonium.activations;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Activation checkpointing of a caller's model: forward and backward through its {@link Segment}s, of which only some keep their activations. Of the others the
 * input is kept, and backward computes the rest again, into memory that they share. The gradients have the same bits as without.
 *
 * <pre>{@code
 * Recomputation layers = Recomputation.of(device, ElementType.F32, segments, segment -> segment % 4 == 0); // every 4th keeps
 * MemorySegment output = layers.forward(batch);
 * // loss, and its gradient with respect to the output
 * MemorySegment inputGradient = layers.backward(outputGradient);
 * }</pre>
 *
 * <p>With {@code b_i} elements of the input of segment i of n, {@code b_n} of the output and {@code a_i} of activations, it holds
 *
 * <pre>{@code
 * Σ_{i=1..n} b_i                               inputs, but the first, which is the caller's; and the output
 * Σ_{kept} a_i + max_{recomputed} a_i          activations
 * min(2, n)·max_{i<n} b_i                      gradients of inputs
 * }</pre>
 *
 * <p>elements. With inputs in FP8 the first line is {@code min(2, n)·max_{1≤i≤n} b_i}, and {@code 1 + 4/128} bytes for each of {@code Σ_{i=1..n-2} b_i}: the last
 * segment's input is still there when backward begins. Backward then computes from rounded inputs, so its gradients are others.
 *
 * <p>Everything is allocated when it is made, and counted under {@link Purpose#ACTIVATIONS}. A segment that is computed again costs its forward pass once more; of
 * those, the last one is not, because nobody has overwritten what it left. Not thread-safe. Closing it frees what it owns.
 */
public final class Recomputation implements AutoCloseable {
    private final Device device;
    private final ElementType type;
    private final List<Segment> segments;
    private final List<Tensor> owned = new ArrayList<>();
    private final List<CodedActivations> coded = new ArrayList<>();
    /** Of segments 1 to n, and the output: where each border is computed. */
    private final List<MemorySegment> borders = new ArrayList<>();

    private final List<MemorySegment> activations = new ArrayList<>();
    private final List<MemorySegment> gradients = new ArrayList<>();
    private final boolean[] recomputed;
    private @Nullable MemorySegment input;
    private int lastInShared = -1;
    private boolean closed;

    private Recomputation(
            Device device,
            ElementType type,
            List<? extends Segment> segments,
            IntPredicate keeps,
            @Nullable BlockFormat format) {
        this.device = device;
        this.type = type;
        this.segments = List.copyOf(segments);
        requireChain();
        this.recomputed = new boolean[segments.size()];
        for (int i = 0; i < recomputed.length; i++) {
            recomputed[i] = !keeps.test(i);
        }
        try {
            allocateBorders(format);
            allocateActivations();
            for (int i = 0; i < Math.min(2, segments.size()); i++) {
                gradients.add(own("gradient of an input, " + i, largestBorder(0, segments.size() - 1)));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Of segments whose inputs are kept as they are.
     *
     * @param device that the segments compute on; outlives this
     * @param type of inputs, activations and gradients: F32 or BF16
     * @param segments in their order; at least one
     * @param keeps whether the segment of a number, from 0, keeps its activations: {@code i -> false} for the least memory, {@code i -> true} for no
     *     recomputation, {@code i -> i % k == 0} for every k-th
     * @throws IllegalArgumentException if there is no segment, or one does not take what the one before it gives
     */
    public static Recomputation of(
            Device device, ElementType type, List<? extends Segment> segments, IntPredicate keeps) {
        return new Recomputation(device, type, segments, keeps, null);
    }

    /**
     * Of segments whose inputs wait in FP8; see {@link #of}.
     *
     * @param format {@link BlockFormat#FP8_E4M3}, or {@link BlockFormat#FP8_E5M2}, which has a wider range and one bit less
     */
    public static Recomputation withInputsIn(
            BlockFormat format, Device device, ElementType type, List<? extends Segment> segments, IntPredicate keeps) {
        return new Recomputation(device, type, segments, keeps, format);
    }

    private void requireChain() {
        if (segments.isEmpty()) {
            throw new IllegalArgumentException("there is no segment; recomputation needs at least one");
        }
        for (int i = 0; i < segments.size(); i++) {
            Segment segment = segments.get(i);
            if (i > 0 && segment.inputElements() != segments.get(i - 1).outputElements()) {
                throw new IllegalArgumentException("segment " + i + " takes " + segment.inputElements()
                        + " elements and the one before it gives "
                        + segments.get(i - 1).outputElements() + "; they must be the same");
            }
            if (segment.activationElements() < 1) {
                throw new IllegalArgumentException("segment " + i + " has " + segment.activationElements()
                        + " elements of activations; it must be at least 1");
            }
        }
    }

    /** Elements of the input of a segment, or of the output of the last one. */
    private long border(int i) {
        return i == segments.size()
                ? segments.getLast().outputElements()
                : segments.get(i).inputElements();
    }

    private long largestBorder(int from, int to) {
        long largest = 0;
        for (int i = from; i <= to; i++) {
            largest = Math.max(largest, border(i));
        }
        return largest;
    }

    private MemorySegment own(String name, long elements) {
        Tensor tensor = device.allocate(Purpose.ACTIVATIONS, name, type, Shape.of(elements));
        owned.add(tensor);
        return tensor.segment();
    }

    private void allocateBorders(@Nullable BlockFormat format) {
        int count = segments.size();
        List<MemorySegment> shared = new ArrayList<>();
        for (int i = 0; format != null && i < Math.min(2, count); i++) {
            shared.add(own("inputs of segments, " + i, largestBorder(1, count)));
        }
        for (int i = 1; i <= count; i++) {
            String name = i == count ? "output" : "input of segment " + i;
            MemorySegment border = format == null ? own(name, border(i)) : shared.get(i % shared.size());
            borders.add(border);
            if (format != null && i < count - 1) {
                boolean whole = !device.memory().isHost();
                CodedActivations waiting = new CodedActivations(device, type, format, whole);
                coded.add(waiting);
                waiting.add(name, border, border(i));
            }
        }
    }

    private void allocateActivations() {
        long largest = 0;
        for (int i = 0; i < recomputed.length; i++) {
            largest = recomputed[i] ? Math.max(largest, segments.get(i).activationElements()) : largest;
        }
        MemorySegment shared = largest == 0 ? MemorySegment.NULL : own("activations of recomputed segments", largest);
        for (int i = 0; i < recomputed.length; i++) {
            activations.add(
                    recomputed[i]
                            ? shared
                            : own("activations of segment " + i, segments.get(i).activationElements()));
        }
    }

    /**
     * Goes forward through all segments.
     *
     * @param from the first segment's input, on the device; the caller leaves it as it is until backward is done
     * @return the output, on the device; valid until {@link #backward} or the next forward
     * @throws IllegalArgumentException if the memory does not hold the input
     */
    public MemorySegment forward(MemorySegment from) {
        requireOpen();
        device.memory().requireReadable("the input", from, type, border(0));
        input = from;
        for (int i = 0; i < recomputed.length; i++) {
            segments.get(i).forward(inputOf(i, from), borders.get(i), activations.get(i));
            lastInShared = recomputed[i] ? i : lastInShared;
            if (hasCodes(i + 1)) {
                coded.get(i).save(device);
            }
        }
        return borders.getLast();
    }

    /**
     * Goes backward through all segments, from the last to the first, after {@link #forward}.
     *
     * @param outputGradient the gradient of the output, on the device; may be overwritten
     * @return the gradient of the input, on the device; valid until the next backward
     * @throws IllegalStateException if there was no forward since the last backward
     * @throws IllegalArgumentException if the memory does not hold the gradient
     */
    public MemorySegment backward(MemorySegment outputGradient) {
        requireOpen();
        MemorySegment from = input;
        if (from == null) {
            throw new IllegalStateException("backward was called without a forward before it");
        }
        device.memory().requireWritable("the output's gradient", outputGradient, type, border(recomputed.length));
        input = null;
        MemorySegment gradient = outputGradient;
        for (int i = recomputed.length - 1; i >= 0; i--) {
            if (hasCodes(i)) {
                coded.get(i - 1).restore(device);
            }
            MemorySegment ofSegment = inputOf(i, from);
            if (recomputed[i] && lastInShared != i) {
                segments.get(i).forward(ofSegment, null, activations.get(i));
                lastInShared = i;
            }
            MemorySegment next = gradients.get(i % gradients.size());
            segments.get(i).backward(ofSegment, activations.get(i), gradient, next);
            gradient = next;
        }
        return gradient;
    }

    private boolean hasCodes(int segment) {
        return segment >= 1 && segment <= coded.size();
    }

    private MemorySegment inputOf(int segment, MemorySegment from) {
        return segment == 0 ? from : borders.get(segment - 1);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the recomputation was used after it was closed");
        }
    }

    /** Frees what it owns. A second call does nothing. */
    @Override
    public void close() {
        closed = true;
        coded.forEach(CodedActivations::close);
        coded.clear();
        while (!owned.isEmpty()) {
            owned.removeLast().close();
        }
    }
}
