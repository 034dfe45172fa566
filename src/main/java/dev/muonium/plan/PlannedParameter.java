package dev.muonium.plan;

import dev.muonium.memory.Shape;
import dev.muonium.optim.GroupSpec;
import java.util.List;

/**
 * A parameter to plan for.
 *
 * @param name for messages
 * @param shape of the weights
 * @param group what updates it, with the format of its state
 * @param rank of its projected gradient, or 0 without GaLore
 * @param matrices that Muon orthogonalizes, each by itself ({@link dev.muonium.optim.Parameter#matrices}); with GaLore the whole
 */
public record PlannedParameter(String name, Shape shape, GroupSpec group, int rank, List<Shape> matrices) {
    /** Copies the list. */
    public PlannedParameter {
        matrices = List.copyOf(matrices);
        if (rank > 0 && !matrices.equals(List.of(shape))) {
            throw new IllegalArgumentException("parameter '" + name + "' is to be projected to rank " + rank
                    + " and is not one matrix of its own shape, as GaLore needs it; leave its split out, or GaLore");
        }
    }

    /** A parameter that is one matrix, or that AdamW updates. */
    public PlannedParameter(String name, Shape shape, GroupSpec group, int rank) {
        this(name, shape, group, rank, List.of(shape));
    }

    /** The shape that the optimizer sees: that of the projected gradient where there is one. */
    Shape optimized() {
        if (rank == 0) {
            return shape;
        }
        long rows = shape.extent(0);
        long cols = shape.extent(1);
        return rows <= cols ? Shape.of(rank, cols) : Shape.of(rows, rank);
    }

    /** The matrices that Muon sees. */
    List<Shape> orthogonalized() {
        return rank == 0 ? matrices : List.of(optimized());
    }

    long smallerSide() {
        return Math.min(shape.extent(0), shape.extent(1));
    }
}
