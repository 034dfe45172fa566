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
 * @param split how its matrices are cut; null if they are not
 */
record Route(String name, Parameter parameter, ParameterKind kind, String reason, Declared.@Nullable Split split) {
    /** The same parameter as one of another kind. */
    Route as(ParameterKind otherKind, String why) {
        return new Route(name, parameter, otherKind, why, split);
    }

    /** Whether it was declared to be cut. */
    boolean isSplit() {
        return split != null;
    }

    /**
     * The parameter as the optimizer gets it.
     *
     * @throws IllegalArgumentException if its rows do not add up, or the split made another parameter of it
     */
    dev.muonium.optim.Parameter of(dev.muonium.optim.Parameter whole) {
        if (split == null) {
            return whole;
        }
        dev.muonium.optim.Parameter pieces = split.how().apply(whole);
        if (pieces == null
                || !pieces.weights().equals(whole.weights())
                || !pieces.name().equals(name)
                || pieces.group() != null) {
            throw new IllegalArgumentException("the split of parameter '" + name + "' returned " + pieces
                    + "; it must return what splitRows and splitEvery make of the parameter that it is given");
        }
        return pieces;
    }

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
