package dev.muonium.nano;

import dev.muonium.memory.Shape;

/**
 * One parameter of a model, without memory: what a planner or a router of parameters needs to know.
 *
 * @param name for example {@code blocks.0.attn.q}
 * @param shape {@code outputs × inputs} of a matrix, {@code vocabulary × width} of an embedding or head
 * @param kind what it is in the model
 */
public record ParameterDescription(String name, Shape shape, Kind kind) {
    /** What a parameter is in the model; optimizers are routed by it. */
    public enum Kind {
        /** A table of rows by token; with a tied head also the head. */
        EMBEDDING,
        /** The matrix from the last hidden state to the logits. */
        HEAD,
        /** A matrix inside a block. */
        MATRIX
    }

    /** The number of elements. */
    public long elements() {
        return shape.elements();
    }
}
