package dev.muonium.nano;

import dev.muonium.memory.Shape;
import dev.muonium.optim.ParameterKind;

/**
 * One parameter of a model, without memory: what a planner or a router of parameters needs to know.
 *
 * @param name for example {@code blocks.0.attn.q}
 * @param shape {@code outputs × inputs} of a matrix, {@code vocabulary × width} of an embedding or head
 * @param kind what it is in the model: {@code MATRIX} inside a block, {@code EMBEDDING} (with a tied head also the head) or {@code HEAD}
 */
public record ParameterDescription(String name, Shape shape, ParameterKind kind) {
    /** The number of elements. */
    public long elements() {
        return shape.elements();
    }
}
