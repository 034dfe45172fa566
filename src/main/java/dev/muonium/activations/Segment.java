package dev.muonium.activations;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Consecutive layers of a caller's model, as {@link Recomputation} sees them: a function of one array, and what it must remember for its own backward pass.
 * Weights and their gradients are the segment's own business. Same input, same bits: a recomputed forward pass must do what the first one did (of dropout, remember the
 * seed).
 */
public interface Segment {
    /** Elements of what it computes from. */
    long inputElements();

    /** Elements of what it computes: the next segment's {@link #inputElements}. */
    long outputElements();

    /** Elements of what backward needs beside the input, from 1 on. */
    long activationElements();

    /**
     * Computes the output, and what backward needs.
     *
     * @param input is not to be changed
     * @param output null where it is not wanted: when this is computed again
     * @param activations what backward gets; holds anything before
     */
    void forward(MemorySegment input, @Nullable MemorySegment output, MemorySegment activations);

    /**
     * Computes the gradient of the input, and adds to those of the weights.
     *
     * @param input as forward had it
     * @param activations as forward left them; may be overwritten
     * @param outputGradient may be overwritten
     * @param inputGradient is to be written; holds anything before
     */
    void backward(
            MemorySegment input, MemorySegment activations, MemorySegment outputGradient, MemorySegment inputGradient);
}
