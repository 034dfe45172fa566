package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.BatchedNewtonSchulz;
import dev.muonium.ortho.Iteration;
import java.util.ArrayList;
import java.util.List;

/** How many bytes an {@link Optimizer} asks for, without making one. */
public final class OptimizerMemory {
    private OptimizerMemory() {}

    /**
     * A parameter.
     *
     * @param group that updates it
     * @param shape of its weights
     * @param matrices that Muon orthogonalizes ({@link Parameter#matrices})
     */
    public record Planned(GroupSpec group, Shape shape, List<Shape> matrices) {
        /** Copies the list. */
        public Planned {
            matrices = List.copyOf(matrices);
        }

        /** A matrix, or what AdamW updates. */
        public Planned(GroupSpec group, Shape shape) {
            this(group, shape, List.of(shape));
        }
    }

    /**
     * A matrix of a parameter.
     *
     * @param elements of its state that are updated with it
     */
    private record Piece(Muon muon, Shape shape, long elements) {
        boolean isEdged() {
            return elements < shape.elements();
        }
    }

    private record PieceKind(Muon muon, Shape shape, boolean edged) {}

    private record Block(Muon muon, long elements) {}

    private record Vectors(List<BlockFormat> formats, int block) {}

    /** The formats of a group's state: one for Muon, two for AdamW. */
    public static List<BlockFormat> stateFormats(GroupSpec group) {
        return switch (group) {
            case Muon muon -> List.of(muon.momentumFormat());
            case AdamW adamW -> List.of(adamW.mFormat(), adamW.vFormat());
        };
    }

    /** Elements per scale of a group's state. */
    public static int stateBlock(GroupSpec group) {
        return switch (group) {
            case Muon muon -> muon.block();
            case AdamW adamW -> adamW.block();
        };
    }

    /**
     * Muon's workspace in a step on a CPU.
     *
     * @param parameters the matrices of each ({@link Parameter#matrices})
     * @param iterates the precision of Newton-Schulz: BF16 where it is fast, else F32
     * @param workers of the device
     * @param cap {@link Optimizer.Builder#workspaceCap}
     */
    public static long workspaceBytes(
            Muon group, List<List<Shape>> parameters, ElementType iterates, int workers, long cap) {
        List<Shape> matrices = parameters.stream().flatMap(List::stream).toList();
        List<MuonPlan.Item> items = new ArrayList<>();
        for (int i = 0; i < matrices.size(); i++) {
            long rows = matrices.get(i).extent(0);
            long cols = matrices.get(i).extent(1);
            items.add(new MuonPlan.Item(
                    i,
                    MuonPass.cost(rows, cols),
                    Iteration.workspaceBytes(group.newtonSchulz(true), iterates, rows, cols)));
        }
        return MuonPlan.of(items, workers, cap).workspaceBytes() + borderBytes(group, parameters);
    }

    /** Of Muon's workspace, what blocks of 8-bit state need that reach over borders of a parameter's matrices. */
    public static long borderBytes(Muon group, List<List<Shape>> parameters) {
        return parameters.stream()
                .mapToLong(matrices -> BorderBlocks.bytes(matrices, group))
                .sum();
    }

    /** What a matrix takes of Muon's workspace on a GPU, where those of a shape are worked on together, as many as the cap allows. */
    public static long workspaceBytesOnGpu(Muon group, Shape matrix, ElementType iterates) {
        return BatchedNewtonSchulz.workspaceBytes(
                group.newtonSchulz(false), iterates, matrix.extent(0), matrix.extent(1));
    }

    /**
     * The places on a GPU that state passes through which the host keeps, and as many bytes of page-locked memory where a file has it.
     *
     * @param parameters in the order in which the optimizer gets them, of one type of weights and one of gradients
     * @param iterates the precision of Newton-Schulz
     * @param cap {@link Optimizer.Builder#workspaceCap}, on which depends what is worked on together
     */
    public static long stagingBytes(List<Planned> parameters, ElementType iterates, long cap) {
        List<List<StateLoads.Arrays>> batches = new ArrayList<>();
        List<Block> blocks =
                parameters.stream().flatMap(one -> blocks(one).stream()).toList();
        BatchPlan.of(
                        blocks.stream()
                                .map(block -> new BatchPlan.Item<>(block.muon(), 0))
                                .toList(),
                        0)
                .batches()
                .forEach(batch -> batches.add(batch.members().stream()
                        .map(blocks::get)
                        .map(block -> arrays(block.muon(), block.elements()))
                        .toList()));
        List<Piece> pieces =
                parameters.stream().flatMap(one -> pieces(one).stream()).toList();
        BatchPlan.of(pieces.stream().map(piece -> item(piece, iterates)).toList(), cap)
                .batches()
                .forEach(batch -> batches.add(batch.members().stream()
                        .map(pieces::get)
                        .map(piece -> arrays(piece.muon(), piece.elements()))
                        .toList()));
        List<Planned> vectors = parameters.stream()
                .filter(one -> !(one.group() instanceof Muon))
                .toList();
        BatchPlan.of(
                        vectors.stream()
                                .map(one -> new BatchPlan.Item<>(
                                        new Vectors(stateFormats(one.group()), stateBlock(one.group())), 0))
                                .toList(),
                        0)
                .batches()
                .forEach(batch -> batches.add(batch.members().stream()
                        .map(vectors::get)
                        .map(one -> arrays(one.group(), one.shape().elements()))
                        .toList()));
        return StateLoads.staged(batches, StateLoads.CAP).stagingBytes();
    }

    /** Elements of state that can only be updated together. */
    private static long unit(Muon muon) {
        return muon.momentumFormat().isScaled() ? muon.block() : 1;
    }

    private static List<Block> blocks(Planned parameter) {
        if (!(parameter.group() instanceof Muon muon)) {
            return List.of();
        }
        long unit = unit(muon);
        return BorderBlocks.of(parameter.matrices(), unit).stream()
                .map(first -> new Block(muon, Math.min(unit, parameter.shape().elements() - first)))
                .toList();
    }

    private static List<Piece> pieces(Planned parameter) {
        List<Piece> pieces = new ArrayList<>();
        if (parameter.group() instanceof Muon muon) {
            long begin = 0;
            for (Shape matrix : parameter.matrices()) {
                long end = begin + matrix.elements();
                BorderBlocks.Inner inner =
                        BorderBlocks.inner(begin, end, parameter.shape().elements(), unit(muon));
                pieces.add(new Piece(muon, matrix, inner.end() - inner.begin()));
                begin = end;
            }
        }
        return pieces;
    }

    private static BatchPlan.Item<PieceKind> item(Piece piece, ElementType iterates) {
        Shape shape = piece.shape();
        return new BatchPlan.Item<>(
                new PieceKind(piece.muon(), shape, piece.isEdged()),
                workspaceBytesOnGpu(piece.muon(), shape, iterates));
    }

    private static StateLoads.Arrays arrays(GroupSpec group, long elements) {
        return new StateLoads.Arrays(elements, stateFormats(group), stateBlock(group));
    }
}
