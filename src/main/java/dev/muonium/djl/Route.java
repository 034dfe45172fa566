package dev.muonium.djl;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.muonium.optim.ParameterKind;
import org.jspecify.annotations.Nullable;

/**
 * Where a parameter of a block goes.
 *
 * @param name its name in {@code block.getParameters()}, the same in every run of the same architecture
 * @param parameter DJL's
 * @param kind decides between Muon and AdamW
 * @param reason why it is of that kind, for people
 */
record Route(String name, Parameter parameter, ParameterKind kind, String reason) {
    /** What identifies it to an optimizer in this process only. */
    String id() {
        return parameter.getId();
    }

    /** Whether DJL computes a gradient for it now, and so hands it to the optimizer. */
    boolean isTrained() {
        return parameter.requiresGradient();
    }

    /** For example {@code 512×64}; a question mark before the block is initialized. */
    String shape() {
        return shape(parameter.getShape());
    }

    static String shape(@Nullable Shape shape) {
        if (shape == null) {
            return "?";
        }
        StringBuilder text = new StringBuilder();
        for (long extent : shape.getShape()) {
            text.append(text.isEmpty() ? "" : "×").append(extent);
        }
        return text.isEmpty() ? "scalar" : text.toString();
    }
}
