package dev.muonium.plan;

import dev.muonium.memory.Shape;
import dev.muonium.optim.GroupSpec;

/**
 * A parameter to plan for.
 *
 * @param name for messages
 * @param shape of the weights
 * @param group what updates it, with the format of its state
 * @param rank of its projected gradient, or 0 without GaLore
 */
public record PlannedParameter(String name, Shape shape, GroupSpec group, int rank) {
    /** The shape that the optimizer sees: that of the projected gradient where there is one. */
    Shape optimized() {
        if (rank == 0) {
            return shape;
        }
        long rows = shape.extent(0);
        long cols = shape.extent(1);
        return rows <= cols ? Shape.of(rank, cols) : Shape.of(rows, rank);
    }

    long smallerSide() {
        return Math.min(shape.extent(0), shape.extent(1));
    }
}
