package dev.muonium.optim;

import dev.muonium.memory.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The matrices of a parameter, each of which Muon orthogonalizes by itself: dense, behind each other, together all of its memory. */
final class Matrices {
    private Matrices() {}

    /** What a parameter's kind makes of its shape; none where that is no matrix. */
    static List<Shape> of(String name, ParameterKind kind, Shape shape) {
        return switch (kind) {
            case MATRIX, EMBEDDING, HEAD, VECTOR -> shape.isMatrix() ? List.of(shape) : List.of();
            case STACK -> {
                int rank = requireRank(name, kind, shape, "count × rows × cols");
                Shape one = Shape.of(shape.extent(rank - 2), shape.extent(rank - 1));
                yield Collections.nCopies(Math.toIntExact(shape.elements() / one.elements()), one);
            }
            case CONVOLUTION -> {
                requireRank(name, kind, shape, "out × in × height × width");
                yield List.of(Shape.of(shape.extent(0), shape.elements() / shape.extent(0)));
            }
        };
    }

    private static int requireRank(String name, ParameterKind kind, Shape shape, String example) {
        if (shape.rank() < 3) {
            throw new IllegalArgumentException("parameter '" + name + "' is a " + kind + " and has the shape " + shape
                    + "; it must have three extents or more, as " + example);
        }
        return shape.rank();
    }

    /** Cuts each matrix into ranges of rows, which have to be all of its rows. */
    static List<Shape> split(Parameter parameter, long... rows) {
        List<Shape> pieces = new ArrayList<>();
        for (Shape matrix : requireMatrices(parameter)) {
            requireAll(parameter, matrix, rows);
            for (long count : rows) {
                pieces.add(Shape.of(count, matrix.extent(1)));
            }
        }
        return List.copyOf(pieces);
    }

    /** Cuts each matrix into ranges of as many rows. */
    static List<Shape> splitEvery(Parameter parameter, long rows) {
        List<Shape> pieces = new ArrayList<>();
        for (Shape matrix : requireMatrices(parameter)) {
            if (rows < 1 || matrix.extent(0) % rows != 0) {
                throw new IllegalArgumentException("parameter '" + parameter.name() + "' is to be split every " + rows
                        + " rows; its matrix of " + matrix + " must be a whole number of them");
            }
            Shape piece = Shape.of(rows, matrix.extent(1));
            pieces.addAll(Collections.nCopies(Math.toIntExact(matrix.extent(0) / rows), piece));
        }
        return List.copyOf(pieces);
    }

    private static List<Shape> requireMatrices(Parameter parameter) {
        if (parameter.kind() == ParameterKind.VECTOR || parameter.matrices().isEmpty()) {
            throw new IllegalArgumentException("parameter '" + parameter.name() + "' is a " + parameter.kind() + " of "
                    + parameter.shape() + "; only matrices can be split into ranges of rows");
        }
        return parameter.matrices();
    }

    private static void requireAll(Parameter parameter, Shape matrix, long... rows) {
        String what = "parameter '" + parameter.name() + "' is to be split into " + Arrays.toString(rows) + " rows; ";
        long left = matrix.extent(0);
        long leftCols = matrix.extent(1);
        for (long count : rows) {
            if (count < 1) {
                throw new IllegalArgumentException(what + "each piece must have at least 1");
            }
            left = count > left ? -1 : left - count; // never above 0 again, and cannot overflow
            leftCols = count > leftCols ? -1 : leftCols - count;
        }
        if (left != 0) {
            throw new IllegalArgumentException(what + "together they must be the " + matrix.extent(0)
                    + " of its matrix of " + matrix
                    + (leftCols == 0 ? ", and columns cannot be split: their pieces are not dense" : ""));
        }
    }

    /** For a table, for example {@code 768×768 + 2 of 256×768}. */
    static String describe(List<Shape> matrices) {
        Map<Shape, Integer> counts = new LinkedHashMap<>();
        matrices.forEach(matrix -> counts.merge(matrix, 1, Integer::sum));
        List<String> texts = new ArrayList<>();
        counts.forEach((matrix, count) -> texts.add(count == 1 ? matrix.toString() : count + " of " + matrix));
        return String.join(" + ", texts);
    }
}
